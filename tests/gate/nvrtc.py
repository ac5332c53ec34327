"""NVRTC, CUDA's run-time compiler, from its wheel and through ctypes.

PTX shows which instructions were asked for. What they became on the device, SASS, cannot be looked
at without NVIDIA's disassembler; of that only what ptxas tells is known here: registers, stack,
spills and shared memory.
"""

import ctypes
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

WHEEL = "nvidia-cuda-nvrtc"

# What CuPy adds to the options of a kernel, its include paths and the device's name aside.
FROM_CUPY = ("-ftz=true", "--device-as-default-execution-space")

_LIBRARY = re.compile(r"libnvrtc\.so\.\d+")
_BUILTINS = re.compile(r"libnvrtc-builtins\.so\.[\d.]+")
_ENTRY = re.compile(r"Compiling entry function '(\w+)'")
_FUNCTION = re.compile(r"Function properties for (\w+)")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_STACK = re.compile(r"(\d+) bytes cumulative stack size")
_SHARED = re.compile(r"(\d+) bytes smem")
_WARNING = re.compile(r"^ptxas warning|: warning #")
_INSTRUCTION = re.compile(r"^\s*(?:@!?%\w+\s+)?([a-z][\w.:]*)[^:\n]*;", re.MULTILINE)


class CompileError(RuntimeError):
    """The compiler refused a kernel."""


class Entry(NamedTuple):
    """What ptxas tells of one kernel, the functions that it calls included.

    Attributes
    ----------
    registers : int
        A thread.
    stack, spills : int
        Bytes of local memory a thread: in all, and moved for want of registers.
    shared : int
        Bytes of static shared memory a block.
    """

    registers: int
    stack: int
    spills: int
    shared: int


class Built(NamedTuple):
    """What the compiler made of a text."""

    cubin: bytes
    ptx: str
    log: str

    @property
    def entries(self) -> dict[str, Entry]:
        """The kernels by name, as told in the log."""
        return _entries(self.log)

    @property
    def instructions(self) -> Counter[str]:
        """How often each PTX instruction is written, by its full name."""
        return Counter(_INSTRUCTION.findall(self.ptx))

    @property
    def warnings(self) -> list[str]:
        """The lines of the log that warn."""
        return [line for line in self.log.splitlines() if _WARNING.search(line)]


@cache
def available() -> str:
    """Why nothing can be compiled here; empty where it can."""
    try:
        _library()
    except metadata.PackageNotFoundError:
        return f"{WHEEL} is not installed"
    except OSError as error:
        return f"{WHEEL} cannot be loaded: {error}"
    return ""


@cache
def version() -> str:
    """Of the wheel, e.g. 13.5.37: CUDA 13.5."""
    return metadata.version(WHEEL)


def compile(source: str, options: Sequence[str], arch: int) -> Built:
    """Compile a kernel as CuPy does.

    Parameters
    ----------
    source : str
        CUDA C++ with all it needs inside.
    options : sequence of str
        The kernel's own.
    arch : int
        Compute capability, times 10.

    Raises
    ------
    CompileError
        With the compiler's log.
    """
    library = _library()
    program = ctypes.c_void_p()
    text = source.encode()
    _check(library.nvrtcCreateProgram(ctypes.byref(program), text, b"kernel.cu", 0, None, None))
    try:
        given = [*options, *FROM_CUPY, f"-arch=sm_{arch}", "--ptxas-options=-v"]
        passed = (ctypes.c_char_p * len(given))(*[option.encode() for option in given])
        result = library.nvrtcCompileProgram(program, len(given), passed)
        log = _text(program, "ProgramLog")
        if result:
            raise CompileError(log)
        return Built(_bytes(program, "CUBIN"), _text(program, "PTX"), log)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


@cache
def _library() -> ctypes.CDLL:
    files = metadata.distribution(WHEEL).files or []
    # NVRTC asks for its builtins by a bare name, which is found once they are loaded.
    ctypes.CDLL(_path(files, _BUILTINS), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(_path(files, _LIBRARY))
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def _path(files: Sequence[Any], name: re.Pattern[str]) -> str:
    for file in files:
        if name.fullmatch(file.name):
            return str(Path(file.locate()))
    raise OSError(f"it holds no {name.pattern}")


def _check(result: int) -> None:
    if result:
        raise RuntimeError(_library().nvrtcGetErrorString(result).decode())


def _bytes(program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(_function(f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    held = ctypes.create_string_buffer(size.value)
    _check(_function(f"nvrtcGet{what}")(program, held))
    return held.raw


def _text(program: ctypes.c_void_p, what: str) -> str:
    return _bytes(program, what).rstrip(b"\0").decode()


def _function(name: str) -> Callable[..., int]:
    return _library()[name]


def _entries(log: str) -> dict[str, Entry]:
    spills: dict[str, int] = {}
    used: dict[str, tuple[int, int, int]] = {}
    entry = function = ""
    for line in log.splitlines():
        if found := _ENTRY.search(line):
            entry = found[1]
        elif found := _FUNCTION.search(line):
            function = found[1]
        elif found := _FRAME.search(line):
            spills[function] = int(found[2]) + int(found[3])
        elif found := _USED.search(line):
            others = (pattern.search(line) for pattern in (_STACK, _SHARED))
            used[entry] = (int(found[1]), *(int(other[1]) if other else 0 for other in others))
    called = sum(count for function, count in spills.items() if function not in used)
    return {
        name: Entry(registers, stack, spills[name] + called, shared)
        for name, (registers, stack, shared) in used.items()
    }
