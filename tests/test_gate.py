"""What CUDA's own compiler makes of the kernels; `python -m tests.gate` prints it."""

import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from emulator import standin
from gate import nvrtc, table, toys
from gate.variants import ARCHS, variants

import gpuols
from gpuols.engines import device
from gpuols.engines.cuda import Cuda
from gpuols.engines.kernels import Kernel
from gpuols.engines.launches import Shape
from gpuols.engines.lots import Lot
from gpuols.engines.passes import Passes
from gpuols.engines.verdicts import Verdicts

ROOT = Path(__file__).parents[1]

needs_nvrtc = pytest.mark.skipif(
    bool(nvrtc.available()), reason=nvrtc.available() or "the compiler is here"
)


@needs_nvrtc
def test_every_kernel_passes():
    assert table.check(variants(), [90], table.caps()) == []


# One for each other way that the sources differ by (common.cuh); `python -m tests.gate` compiles
# all for all.
@needs_nvrtc
@pytest.mark.parametrize("arch", [80, 100])
def test_kernels_of_doubles_pass(arch):
    doubles = [variant for variant in variants() if "real=float" not in str(variant.kernel)]
    assert len(doubles) < len(variants())
    assert table.check(doubles, [arch], table.caps()) == []


def test_every_file_of_kernels_is_listed():
    listed = {variant.kernel.name for variant in variants()}
    assert listed == {path.stem for path in (ROOT / "kernels").glob("*.cu")}


def test_every_kernel_of_a_batch_is_listed(monkeypatch):
    listed = {variant.kernel for variant in variants()}
    launched = set()
    monkeypatch.setattr(device, "launch", lambda kernel, *_: launched.add(kernel))
    sizes = [
        (n, k, m) for n in (1, 300, 5000) for k in (0, 1, 8, 20, 31, 32, 70, 150) for m in (1, 2)
    ]
    device.forget()
    with standin.installed():
        for (n, k, m), real, weighted, drop, penalty in product(
            sizes, (np.float32, np.float64), (False, True), (False, True), (0.0, 1.0)
        ):
            x, y = np.zeros((1, n, k), real), np.zeros((1, n, m), real)
            weights, ridge = np.zeros((1, n)) if weighted else None, np.array([penalty])
            given = {"centered": True, "drop": drop}
            Cuda(0).fit_batch(x, y, weights, (1,), ridge, tol=1e-10, **given)
            if penalty or k > 1:
                continue
            rows = (x, y, weights), (1,), np.zeros(1, np.int64)
            moments = Cuda(0).reduce_batch(*rows, **given)
            Cuda(0).reduce_batch(*rows, fitted=[moments], **given)
            asked = Verdicts.empty(np.zeros(1), (k + 1, m), 1e-10, "drop")
            with np.errstate(invalid="ignore"):  # no kernel has written the answers
                Cuda(0).reduce_batch(*rows, asked=asked, **given)
        rows = np.zeros((1, 70_000, 1)), np.zeros((1, 70_000, 1)), None
        kind = {"centered": True, "drop": False}
        Cuda(0).fit_batch(*rows, (1,), np.zeros(1), tol=1e-10, **kind)
        Cuda(0).reduce_batch(rows, (1,), np.zeros(1, np.int64), **kind)
        redundant = device.upload(np.array([4], np.int8))
        for k in (8, 9, 32):
            asked = Verdicts.empty(np.zeros(1), (k, 1), 1e-10, "min_norm")
            shape, lot = Shape(9, k, 1, "double", False, False, False), Lot(1, 1, None, None, None)
            asked.find(Passes(shape, lot, *5 * [None], redundant, None))
        for n, k, real in product((1, 5000), (1, 16, 32, 40), (np.float32, np.float64)):
            gpuols.fit(np.zeros((n, k), real), np.zeros((n, 9), real), device="cuda")
        for k, real in product((*range(10), 33, 64), (np.float32, np.float64)):
            given = np.zeros((9, k), real), np.zeros((9, 2), real)
            gpuols.fit(*given, missing="drop", add_intercept=True, device="cuda")
    device.forget()
    assert launched == listed - {Kernel("probe")}


def test_the_table_holds_what_is_listed():
    assert table.compare([variant.kernel for variant in variants()], table.caps()) == []


@needs_nvrtc
@pytest.mark.parametrize("name", toys.GOOD)
def test_a_good_kernel_passes(name):
    assert table.check([toys.GOOD[name]], ARCHS, {}) == []


@needs_nvrtc
@pytest.mark.parametrize("name", toys.BROKEN)
def test_a_broken_rule_is_told(name):
    words, variant = toys.BROKEN[name]
    complaints = table.check([variant], ARCHS, {})
    for arch in ARCHS:
        told = [text for text in complaints if text.startswith(f"toy on sm_{arch}: ")]
        assert any(re.search(words, text) for text in told), complaints


@needs_nvrtc
def test_more_registers_than_the_cap_are_told():
    variant = toys.GOOD["many registers"]
    used = table.measure([variant.kernel], [90])["toy", 90].entries["toy"].registers
    assert table.check([variant], [90], {"toy": {"90": used}}) == []
    (words,) = table.check([variant], [90], {"toy": {"90": used - 1}})
    assert words.startswith(f"toy on sm_90: uses {used} registers, its cap is {used - 1};")
    assert words.endswith("python -m tests.gate --write writes them anew")


@needs_nvrtc
def test_what_is_written_is_what_is_checked(monkeypatch, tmp_path):
    monkeypatch.setattr(table, "TABLE", tmp_path / "registers.json")
    variant = toys.GOOD["plain"]
    table.write([variant.kernel])
    caps = table.caps()
    assert table.compare([variant.kernel], caps) == []
    assert table.check([variant], ARCHS, caps) == []
    assert all(1 <= registers <= 255 for registers in caps["toy"].values())


def test_the_table_and_the_list_are_compared():
    kernel = toys.GOOD["plain"].kernel
    caps = {"toy": dict.fromkeys(map(str, ARCHS), 32)}
    assert table.compare([kernel], caps) == []
    assert table.compare([kernel, kernel], caps) == ["toy: listed twice"]
    assert table.compare([kernel], {}) == [f"toy: has no caps; {table.REGENERATE}"]
    assert table.compare([], caps) == [f"toy: has caps, but is not listed; {table.REGENERATE}"]
    assert table.compare([kernel], {"toy": {"90": 32}}) == ["toy: caps for other devices"]


@needs_nvrtc
def test_what_was_compiled_is_remembered_by_content(monkeypatch, tmp_path):
    monkeypatch.setattr(table, "folder", lambda tool: tmp_path)
    kernel = toys.GOOD["plain"].kernel
    first = table.measure([kernel], [90])
    (kept,) = tmp_path.iterdir()
    assert table.measure([kernel], [90]) == first
    kept.write_text(kept.read_text(encoding="utf-8").replace("toy", "kept"), encoding="utf-8")
    assert list(table.measure([kernel], [90])["toy", 90].entries) == ["kept"]
    assert list(table.measure([toys.toy("y[t] = n;").kernel], [90])["toy", 90].entries) == ["toy"]


@needs_nvrtc
def test_the_command_line():
    command = [sys.executable, "-m", "tests.gate", "--archs", "90"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    summary = f"CUDA {nvrtc.version()}: {len(variants())} kernels, 0 complaints"
    assert run.stdout.splitlines()[-1] == summary


@needs_nvrtc
def test_what_is_built():
    kernel = toys.GOOD["copies"].kernel
    built = nvrtc.compile(kernel.source, kernel.options, 90)
    assert built.cubin.startswith(b"\x7fELF")
    assert ".target sm_90" in built.ptx
    assert built.entries["toy"].shared == 64 * 8
    assert built.instructions["cp.async.cg.shared.global"] == 1
    assert built.instructions["bar.sync"] == 1


@pytest.mark.skipif(find_spec("cupy") is None, reason="cupy is not installed")
def test_the_options_are_those_that_cupy_passes(monkeypatch):
    from cupy._core import core
    from cupy.cuda import compiler

    class Module(compiler.function.Module):
        def load(self, cubin):
            pass

    def compiled(program, options, log_stream=None):
        passed.append(options)
        return b"", {}

    passed = []
    undecorated = compiler._get_arch_for_options_for_nvrtc.__wrapped__
    monkeypatch.setattr(compiler, "_get_arch_for_options_for_nvrtc", undecorated)
    monkeypatch.setattr(compiler._NVRTCProgram, "compile", compiled)
    monkeypatch.setattr(compiler, "function", SimpleNamespace(Module=Module))
    monkeypatch.setenv("CUPY_CACHE_IN_MEMORY", "1")
    kernel = toys.GOOD["plain"].kernel
    core.compile_with_cache(kernel.source, kernel.options, "90", prepend_cupy_headers=False)
    own = {option for option in passed[-1] if not option.startswith("-I")}
    assert own == {*kernel.options, *nvrtc.FROM_CUPY, "-arch=sm_90"}
