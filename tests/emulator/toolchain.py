"""g++ and what it built, kept by content."""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent

# A processor without fused multiply-add would call a function for each.
_BASE = [
    "-std=c++17",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-march=x86-64-v3",
    "-Wall",
    "-Wno-unknown-pragmas",
    "-Wno-unused",
]
# What addresses are good the runtime checks itself; to have it checked twice doubles the build.
_UNDEFINED = [
    "-fsanitize=undefined",
    "-fno-sanitize=vptr,null,alignment,object-size,pointer-overflow",
    "-fsanitize-undefined-trap-on-error",
]
MODES = {
    "fast": ["-O2", "-g1"],
    "check": ["-O1", "-g1", "-fsanitize=thread", *_UNDEFINED],
    "coverage": ["-O0", "-g1", "--coverage"],
}


class BuildError(RuntimeError):
    """The compiler refused a kernel."""


@cache
def available() -> str:
    """Why kernels cannot be executed here; empty where they can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"needs Linux on x86-64, not {platform.system()} on {platform.machine()}"
    for tool in ("g++", "addr2line", "gcov"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if " fma " not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        return "the processor has no fused multiply-add"
    major = int(_version().split(".")[0])
    return "" if major >= 11 else f"g++ 11 or later is needed, this is {major}"


@cache
def _version() -> str:
    run = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@cache
def folder(tool: str = "emulator") -> Path:
    """Where what a tool built is kept: $GPUOLS_<TOOL>_CACHE, else a folder of this user's own."""
    given = os.environ.get(f"GPUOLS_{tool.upper()}_CACHE")
    home = Path(tempfile.gettempdir()) / f"gpuols-{tool}-{os.getuid()}"
    chosen = Path(given) if given else home
    chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
    return chosen


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)}\n{done.stderr[-6000:]}")


def _sources(*suffixes: str) -> list[Path]:
    return sorted(path for path in HERE.iterdir() if path.suffix in suffixes)


def _key(*parts: object) -> str:
    return hashlib.sha256(repr((_version(), *parts)).encode()).hexdigest()[:24]


def _contents(paths: Sequence[Path]) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in paths]


@cache
def runtime() -> Path:
    """The runtime as a shared object, built if need be."""
    files = _sources(".h", ".cpp")
    flags = [*_BASE, "-O2", "-U_FORTIFY_SOURCE", "-shared"]
    out = folder() / f"runtime-{_key(flags, _contents(files))}.so"
    if not out.exists():
        own = [str(path) for path in files if path.suffix == ".cpp"]
        with tempfile.TemporaryDirectory(dir=folder()) as beside:
            made = Path(beside) / out.name
            _run(["g++", *flags, f"-Wl,-soname,{out.name}", *own, "-o", str(made)])
            made.rename(out)
    return out


def module(text: str, options: Sequence[str], mode: str) -> Path:
    """A kernel text as a shared object, built if need be.

    Parameters
    ----------
    text : str
        C++ that ends in the exports of launch.h.
    options : sequence of str
        Further options for the compiler, `-D...` above all.
    mode : {"fast", "check", "coverage"}
        What it is built for.

    Returns
    -------
    Path
        The shared object; in mode coverage a .gcno file of the same stem lies beside it.
    """
    flags = [*_BASE, *MODES[mode], *options]
    key = _key(runtime().name, flags, text)
    out = folder() / f"kernel-{key}.so"
    if out.exists():
        return out
    links = ["--coverage"] if mode == "coverage" else []
    with tempfile.TemporaryDirectory(dir=folder()) as beside:
        made = Path(beside)
        source, compiled, linked = (made / f"{out.stem}{end}" for end in (".cpp", ".o", ".so"))
        source.write_text(text, encoding="utf-8")
        header = str(HERE / "launch.h")
        inputs = ["-include", header, "-c", str(source), "-o", str(compiled)]
        _run(["g++", *flags, *inputs])
        search = [f"-Wl,-rpath,{folder()}", f"-L{folder()}", f"-l:{runtime().name}"]
        _run(["g++", "-shared", "-nostartfiles", *links, str(compiled), *search, "-o", str(linked)])
        for note in made.glob("*.gcno"):
            note.rename(out.with_suffix(".gcno"))
        linked.rename(out)
    return out
