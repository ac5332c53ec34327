"""The gate's rules, and the table of how many registers each kernel may use."""

import hashlib
import json
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from emulator.toolchain import folder

from gate import nvrtc
from gate.variants import ARCHS, Variant
from gpuols.engines.kernels import Kernel

TABLE = Path(__file__).with_name("registers.json")
REGENERATE = "python -m tests.gate --write"

Caps = Mapping[str, Mapping[str, int]]


class Measured(NamedTuple):
    """What is kept of a kernel's compilation.

    Attributes
    ----------
    entries : dict of str to nvrtc.Entry
        The kernels that the text held.
    instructions : list of str
        Of the PTX, each once.
    warnings : list of str
        Of the compiler.
    error : str
        Why it did not compile; empty if it did.
    """

    entries: dict[str, nvrtc.Entry]
    instructions: list[str]
    warnings: list[str]
    error: str = ""


def check(variants: Sequence[Variant], archs: Sequence[int], caps: Caps) -> list[str]:
    """Compile variants and say in what they break the rules."""
    measured = measure([variant.kernel for variant in variants], archs)
    return [
        f"{variant.kernel} on sm_{arch}: {words}"
        for variant in variants
        for arch in archs
        for words in _complaints(variant, arch, measured[str(variant.kernel), arch], caps)
    ]


def compare(kernels: Sequence[Kernel], caps: Caps) -> list[str]:
    """In what a list of kernels and the table differ."""
    words = [str(kernel) for kernel in kernels]
    archs = [str(arch) for arch in ARCHS]
    return [
        *(f"{name}: listed twice" for name, times in Counter(words).items() if times > 1),
        *(f"{name}: has no caps; {REGENERATE}" for name in words if name not in caps),
        *(f"{name}: has caps, but is not listed; {REGENERATE}" for name in set(caps) - set(words)),
        *(f"{name}: caps for other devices" for name, row in caps.items() if list(row) != archs),
    ]


def _complaints(variant: Variant, arch: int, found: Measured, caps: Caps) -> Iterator[str]:
    if found.error:
        yield found.error
        return
    yield from found.warnings
    for wanted in variant.wanted:
        if not any(name.startswith(wanted[arch]) for name in found.instructions):
            yield f"no {wanted[arch]} in its PTX"
    for flushing in (name for name in found.instructions if name.startswith("cvt.ftz")):
        yield f"takes tiny numbers for zero: {flushing}"
    name = variant.kernel.name
    if list(found.entries) != [name]:
        yield f'holds the kernels {sorted(found.entries)}, must hold extern "C" {name} alone'
        return
    entry = found.entries[name]
    if entry.spills:
        yield f"spills registers: {entry.spills} bytes"
    if entry.stack:
        yield f"uses local memory: {entry.stack} bytes"
    cap = caps.get(str(variant.kernel), {}).get(str(arch), entry.registers)
    if entry.registers > cap:
        yield (
            f"uses {entry.registers} registers, its cap is {cap}; {nvrtc.version()} compiled it, "
            f"{_read()['cuda']} when the caps were written; {REGENERATE} writes them anew"
        )


def measure(kernels: Sequence[Kernel], archs: Sequence[int]) -> dict[tuple[str, int], Measured]:
    """Compile kernels, a process for each processor; what was compiled before is remembered."""
    found = {(str(k), arch): _kept(_place(k, arch)) for k in kernels for arch in archs}
    missing = [(k, arch) for k in kernels for arch in archs if found[str(k), arch] is None]
    if missing:
        spawn = multiprocessing.get_context("spawn")
        workers = min(os.cpu_count() or 1, len(missing))
        with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
            made = pool.map(_compile, *zip(*missing, strict=True))
            for (kernel, arch), result in zip(missing, made, strict=True):
                found[str(kernel), arch] = result
                if not result.error:
                    _keep(_place(kernel, arch), result)
    return found


def caps() -> Caps:
    """How many registers each kernel may use, by its words and arch."""
    return _read()["registers"]


def write(kernels: Sequence[Kernel]) -> None:
    """Make the table what the kernels use now."""
    measured = measure(kernels, ARCHS)
    rows = []
    for kernel in kernels:
        used = {
            str(arch): found.entries[kernel.name].registers
            for arch in ARCHS
            if kernel.name in (found := measured[str(kernel), arch]).entries
        }
        rows.append(f"    {json.dumps(str(kernel))}: {json.dumps(used)}")
    listed = "{\n" + ",\n".join(rows) + "\n  }" if rows else "{}"
    text = f'{{\n  "cuda": {json.dumps(nvrtc.version())},\n  "registers": {listed}\n}}\n'
    TABLE.write_text(text, encoding="utf-8")


def _read() -> dict:
    return json.loads(TABLE.read_text(encoding="utf-8"))


def _compile(kernel: Kernel, arch: int) -> Measured:
    try:
        built = nvrtc.compile(kernel.source, kernel.options, arch)
    except nvrtc.CompileError as error:
        return Measured({}, [], [], f"does not compile\n{error}")
    return Measured(built.entries, sorted(built.instructions), built.warnings)


def _keep(place: Path, found: Measured) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as beside:
        made = Path(beside) / place.name
        made.write_text(json.dumps(found), encoding="utf-8")
        made.rename(place)


def _kept(place: Path) -> Measured | None:
    if not place.exists():
        return None
    entries, *rest = json.loads(place.read_text(encoding="utf-8"))
    return Measured({name: nvrtc.Entry(*entry) for name, entry in entries.items()}, *rest)


def _place(kernel: Kernel, arch: int) -> Path:
    """Where the result is kept, by all that it depends on."""
    rules = [Path(file).read_bytes() for file in (__file__, nvrtc.__file__)]
    parts = (nvrtc.version(), rules, kernel.source, kernel.options, arch)
    return folder("gate") / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}.json"
