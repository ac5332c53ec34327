"""Kernels: the CUDA sources, each with what it is specialised by.

A kernel `name` is the function `name` of kernels/name.cu. It is compiled at run time, for one
device and one shape of problem, from a text that has all its includes inside: CuPy's cache on
disk looks at the text and the options alone.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

_PACKAGE = Path(__file__).resolve().parents[1]
_INCLUDE = re.compile(r'^#include "([^"]+)"$', re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)

# Those that are of one size everywhere: not long.
_TYPES = {
    "void": None,
    "bool": np.dtype(np.bool_),
    "signed char": np.dtype(np.int8),
    "unsigned char": np.dtype(np.uint8),
    "short": np.dtype(np.int16),
    "unsigned short": np.dtype(np.uint16),
    "int": np.dtype(np.int32),
    "unsigned": np.dtype(np.uint32),
    "unsigned int": np.dtype(np.uint32),
    "long long": np.dtype(np.int64),
    "unsigned long long": np.dtype(np.uint64),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
}


class Parameter(NamedTuple):
    """One parameter of a kernel.

    Attributes
    ----------
    name : str
        As in the source.
    dtype : dtype or None
        Of the scalar or of what the pointer points to; None for void.
    pointer : bool
        Whether it is an array.
    written : bool
        Whether it is an array that the kernel may write to.
    """

    name: str
    dtype: np.dtype | None
    pointer: bool
    written: bool


@dataclass(frozen=True)
class Kernel:
    """One kernel for one shape of problem.

    Attributes
    ----------
    name : str
        Of the function, and of its file.
    macros : tuple of (str, int or str)
        What it is specialised by; each becomes GPUOLS_<NAME>.
    """

    name: str
    macros: tuple[tuple[str, int | str], ...] = ()

    @property
    def source(self) -> str:
        """CUDA C++ text with all includes inside."""
        return source(f"{self.name}.cu")

    @property
    def options(self) -> tuple[str, ...]:
        """Options for the compiler; it is to fuse no multiplication and addition of its own."""
        defined = (f"-DGPUOLS_{name.upper()}={value}" for name, value in self.macros)
        return ("-std=c++17", "-fmad=false", *defined)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What it takes, as its source declares it."""
        return parameters(self.source, self.name, self.macros)

    def __str__(self) -> str:
        """Name and macros, e.g. ``fit_batch k=4 m=1 real=double``."""
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.macros)])


@cache
def source(file: str) -> str:
    """Text of a file of kernels/, each file that it includes put in its place, once.

    Parameters
    ----------
    file : str
        Name of the file.

    Returns
    -------
    str
        Errors in it name each file by its own lines.
    """
    return _inlined(file, set())


@cache
def parameters(
    text: str, name: str, macros: tuple[tuple[str, int | str], ...] = ()
) -> tuple[Parameter, ...]:
    """Parameters that a source text declares a kernel with.

    Parameters
    ----------
    text : str
        CUDA C++.
    name : str
        Of the kernel.
    macros : tuple of (str, int or str)
        As those of `Kernel`; each is put in the place of its GPUOLS_<NAME>.

    Returns
    -------
    tuple of Parameter
        In their order.

    Raises
    ------
    ValueError
        If there is no such kernel, or a parameter of a type that can't be passed.
    """
    plain = _COMMENT.sub(" ", text)
    found = re.search(rf"__global__[^;{{}}]*?\b{re.escape(name)}\s*\(([^()]*)\)", plain)
    if found is None:
        raise ValueError(f"kernel {name} is not in its source")
    listed = found[1]
    for macro, value in macros:
        listed = re.sub(rf"\bGPUOLS_{macro.upper()}\b", str(value), listed)
    return tuple(_parameter(part, name) for part in listed.split(",") if part.strip())


def _parameter(declared: str, kernel: str) -> Parameter:
    pointed, star, own = declared.rpartition("*")
    words = (pointed if star else declared).split()
    name = (own if star else words.pop()).split()[-1]
    constant = "const" in words
    kind = " ".join(word for word in words if word != "const")
    if kind not in _TYPES or not name.isidentifier() or kind + star == "void":
        raise ValueError(f"kernel {kernel}: no argument can be made for {declared.strip()!r}")
    return Parameter(name, _TYPES[kind], bool(star), bool(star) and not constant)


def _inlined(file: str, seen: set[str]) -> str:
    seen.add(file)
    text = _text(file)
    parts = [f'#line 1 "{file}"\n']
    start = 0
    for match in _INCLUDE.finditer(text):
        parts.append(text[start : match.start()])
        if match[1] not in seen:
            line = text.count("\n", 0, match.end()) + 2
            parts.append(f'{_inlined(match[1], seen)}\n#line {line} "{file}"')
        start = match.end()
    return "".join([*parts, text[start:]])


def _text(file: str) -> str:
    return (_folder() / file).read_text(encoding="utf-8")


@cache
def _folder() -> Path:
    """Where the sources are: in the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "_kernels"
    return installed if installed.is_dir() else _PACKAGE.parent / "kernels"
