"""Kernel text made callable: compiled by g++, launched through ctypes."""

import ctypes
import json
import math
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emulator import toolchain
from emulator.toolchain import BuildError, available
from gpuols.engines.kernels import source

__all__ = [
    "ORDERS",
    "Array",
    "BuildError",
    "KernelError",
    "Module",
    "available",
    "left_out",
    "with_common",
]

ORDERS = ("fifo", "lifo", "random")
_MOST_THREADS = 1024
_TYPES = {"f": "f", "i": "i", "u": "u", "b": "u"}


class KernelError(RuntimeError):
    """A launch that went wrong.

    Attributes
    ----------
    kernel, what : str
        Which kernel, and what it did.
    block, thread : tuple of int
        Who did it; thread is None where only the block is known.
    file, line : str, int
        Where in the source; empty and 0 where that is not known.
    """

    def __init__(self, kernel, what, block, thread, file, line):
        self.kernel, self.what = kernel, what
        self.block, self.thread = block, thread
        self.file, self.line = file, line
        who = f"block {block}" if thread is None else f"block {block} thread {thread}"
        place = f", {file} line {line}" if line else ""
        super().__init__(f"{kernel}: {what} ({who}{place})")


class Array(NamedTuple):
    """Memory that a kernel may reach.

    Attributes
    ----------
    address, nbytes, itemsize : int
        Where it is, how long, and how long one item.
    writable : bool
        Whether the kernel may write to it.
    """

    address: int
    nbytes: int
    itemsize: int
    writable: bool


class _Error(ctypes.Structure):
    _fields_ = (
        ("what", ctypes.c_char * 1024),
        ("file", ctypes.c_char * 256),
        ("line", ctypes.c_int),
        ("in_thread", ctypes.c_int),
        ("block", ctypes.c_uint * 3),
        ("thread", ctypes.c_uint * 3),
        ("pc", ctypes.c_size_t),
    )


def with_common(text: str, file: str = "kernel.cu") -> str:
    """A kernel's text after that of common.cuh; errors name each file by its own lines."""
    return f'{source("common.cuh")}\n#line 1 "{file}"\n{text}\n'


@contextmanager
def left_out(barrier: int) -> Iterator[None]:
    """While it is entered, kernels leave out the barrier of that number (see `mutate`)."""
    number = ctypes.c_int.in_dll(ctypes.CDLL(str(toolchain.runtime())), "emu_left_out")
    number.value = barrier
    try:
        yield
    finally:
        number.value = 0


class Module:
    """Kernels of one source text.

    Parameters
    ----------
    source : str
        CUDA C++ with all it needs inside.
    names : sequence of str
        The kernels to reach; an instance of a template is written as in C++.
    options : sequence of str
        `-D...` and the like.
    mode : {"fast", "check", "coverage"}
        fast notices deadlocks, divergent barriers, wrong masks, crashes and writes just beside
        shared arrays; check every access to memory as well; coverage counts executed lines.
    order : {"fifo", "lifo", "random"}
        Which of the threads that can go on does, and which block is next.
    seed : int
        Of the random order.
    """

    def __init__(self, source, names, options=(), mode="fast", order="fifo", seed=0):
        self.names = list(names)
        self.mode, self.order, self.seed = mode, order, seed
        exports = f'#line 1 "{toolchain.HERE}/exports"\n'
        exports += "".join(f"EMU_EXPORT({i}, ({name}))\n" for i, name in enumerate(names))
        if mode == "coverage":
            exports += _COVERAGE
        self.path = toolchain.module(source + "\n" + exports, options, mode)
        self._runtime = ctypes.CDLL(str(toolchain.runtime()))
        self._runtime.emu_error.restype = ctypes.POINTER(_Error)
        self._library = ctypes.CDLL(str(self.path))
        self._executed = Counter()

    def signature(self, name: str) -> list[str]:
        """The parameters of a kernel: r (pointer to const), w (pointer) or s, size, type.

        The type is f (floating), i (signed), u (unsigned) or x: `const double*` is r8f.
        """
        told = ctypes.create_string_buffer(4096)
        self._library[f"emu_signature_{self.names.index(name)}"](told)
        return told.value.decode().split()

    def launch(
        self,
        name: str,
        grid: Sequence[int],
        block: Sequence[int],
        values: Sequence[Any],
        shared_bytes: int = 0,
        arrays: Sequence[Array] = (),
    ) -> None:
        """Run a kernel to its end.

        Parameters
        ----------
        name : str
            Which.
        grid, block : sequence of int
            One to three sizes each.
        values : sequence
            One for each parameter: a NumPy scalar of its type; for a pointer a NumPy array, or an
            address as an int, whose memory `arrays` then holds.
        shared_bytes : int
            Dynamic shared memory.
        arrays : sequence of Array
            What else the kernel may reach.

        Raises
        ------
        TypeError
            If a value does not fit its parameter.
        KernelError
            If the kernel did what it must not.
        """
        signature = self.signature(name)
        if len(values) != len(signature):
            raise TypeError(f"{name} takes {len(signature)} values, not {len(values)}")
        passed = [
            _passed(value, mark, f"{name}: value {i}")
            for i, (value, mark) in enumerate(zip(values, signature, strict=True))
        ]
        grid, block = (_three(sizes) for sizes in (grid, block))
        if min(*grid, *block) < 1 or math.prod(block) > _MOST_THREADS:
            raise ValueError(f"{name}: no launch of grid {grid} and block {block}")
        pointers = zip(values, signature, strict=True)
        own = [_extent(v, mark[0] == "w") for v, mark in pointers if isinstance(v, np.ndarray)]
        self._prepare(_disjoint([*own, *arrays]))
        three = ctypes.c_uint * 3
        addresses = (ctypes.c_void_p * max(len(passed), 1))(*[v.ctypes.data for v in passed])
        start = self._library[f"emu_launch_{self.names.index(name)}"]
        if start(three(*grid), three(*block), ctypes.c_size_t(shared_bytes), addresses):
            raise self._error(name)

    def executed(self) -> Counter[tuple[str, int]]:
        """How often each line that holds code was executed so far, by (file, line).

        Files are those that the text names by #line; lines never reached count 0. Only in mode
        coverage.
        """
        with tempfile.TemporaryDirectory() as folder:
            os.environ["GCOV_PREFIX"] = folder
            try:
                self._library.emu_dump_coverage()
            finally:
                del os.environ["GCOV_PREFIX"]
            (counts,) = Path(folder).rglob("*.gcda")
            notes = counts.with_suffix(".gcno")
            notes.write_bytes(self.path.with_suffix(".gcno").read_bytes())
            command = ["gcov", "--json-format", "--stdout", counts.name]
            run = subprocess.run(command, cwd=counts.parent, capture_output=True, check=True)
        for file in json.loads(run.stdout)["files"]:
            if not Path(file["file"]).is_absolute():
                for line in file["lines"]:
                    self._executed[file["file"], line["line_number"]] += line["count"]
        return self._executed

    def _prepare(self, arrays: Sequence[Array]) -> None:
        order = ORDERS.index(self.order)
        self._runtime.emu_set_order(order, ctypes.c_ulonglong(self.seed))
        self._runtime.emu_set_checking(self.mode == "check")
        self._runtime.emu_clear_arrays()
        for address, nbytes, itemsize, writable in arrays if self.mode == "check" else ():
            sizes = ctypes.c_size_t(nbytes), ctypes.c_size_t(itemsize)
            self._runtime.emu_add_array(ctypes.c_void_p(address), *sizes, int(writable))

    def _error(self, name: str) -> KernelError:
        error = self._runtime.emu_error().contents
        file, line = error.file.decode(), error.line
        if not line and error.pc:
            command = ["addr2line", "-e", str(self.path), hex(error.pc)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            place, _, number = run.stdout.split()[0].rpartition(":")
            file, line = (place, int(number)) if number.isdigit() else ("", 0)
        thread = tuple(error.thread) if error.in_thread else None
        what = error.what.decode()
        return KernelError(name, what, tuple(error.block), thread, Path(file).name, line)


_COVERAGE = """
extern "C" void __gcov_dump();
extern "C" void __gcov_reset();
EMU_API void emu_dump_coverage() { __gcov_dump(); __gcov_reset(); }
"""


def _three(sizes: Sequence[int]) -> tuple[int, int, int]:
    x, y, z = (*sizes, 1, 1)[:3]
    return int(x), int(y), int(z)


def _passed(value: Any, mark: str, what: str) -> np.ndarray:
    """The bytes that the kernel is given for a value."""
    pointer = mark[0] != "s"
    if pointer and type(value) is int:
        return np.array(value, np.uint64)
    if not isinstance(value, np.ndarray if pointer else np.generic):
        raise TypeError(f"{what} is {type(value).__name__}, the parameter {mark}")
    code = f"{value.dtype.itemsize}{_TYPES.get(value.dtype.kind, 'x')}"
    if code != mark[1:] and mark[-1] != "x":
        raise TypeError(f"{what} is {value.dtype}, the parameter {mark}")
    return np.array(value.ctypes.data, np.uint64) if pointer else np.array(value)


def _extent(array: np.ndarray, writable: bool) -> Array:
    low, high = np.lib.array_utils.byte_bounds(array)
    return Array(low, high - low, array.itemsize, writable)


def _disjoint(arrays: Sequence[Array]) -> list[Array]:
    """The arrays, those that overlap made one."""
    found: list[Array] = []
    for array in sorted(array for array in arrays if array.nbytes):
        if not found or array.address >= found[-1].address + found[-1].nbytes:
            found.append(array)
            continue
        last = found.pop()
        end = max(last.address + last.nbytes, array.address + array.nbytes)
        item = math.gcd(last.itemsize, array.itemsize, array.address - last.address)
        writable = last.writable or array.writable
        found.append(Array(last.address, end - last.address, item, writable))
    return found
