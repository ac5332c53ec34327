"""Kernels: the CUDA sources, each with what it is specialised by.

A kernel `name` is the function `name` of kernels/name.cu. It is compiled at run time, for one
device and one shape of problem, from a text that has all its includes inside: CuPy's cache on
disk looks at the text and the options alone.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INCLUDE = re.compile(r'^#include "([^"]+)"$', re.MULTILINE)


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


def _inlined(file: str, seen: set[str]) -> str:
    seen.add(file)
    text = (_folder() / file).read_text(encoding="utf-8")
    parts = [f'#line 1 "{file}"\n']
    start = 0
    for match in _INCLUDE.finditer(text):
        parts.append(text[start : match.start()])
        if match[1] not in seen:
            line = text.count("\n", 0, match.end()) + 1
            parts.append(f'{_inlined(match[1], seen)}\n#line {line} "{file}"')
        start = match.end()
    return "".join([*parts, text[start:]])


@cache
def _folder() -> Path:
    """Where the sources are: in the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "_kernels"
    return installed if installed.is_dir() else _PACKAGE.parent / "kernels"
