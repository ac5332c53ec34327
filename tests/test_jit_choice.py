"""The compiled CPU engine chosen where it can be had, and compiled ahead."""

import importlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import gpuols
from gpuols import InputError, engines

precompile = importlib.import_module("gpuols.precompile")
ROOT = Path(__file__).resolve().parent.parent
needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="needs Numba")

FIT = """
import numpy as np
import gpuols
X, y = np.random.default_rng(0).normal(size=(9, 40, 3)), np.arange(360.0).reshape(9, 40)
print(*(gpuols.fit(X, y, device=name).engine for name in ("auto", "cpu", "cpu:numpy")))
"""


def run(code, *folders):
    """What a fresh interpreter prints."""
    path = os.pathsep.join(map(str, (*folders, ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@needs_numba
def test_where_numba_is_the_compiled_engine_is_meant():
    chosen = {engines.choose(name).NAME for name in ("auto", "cpu", "cpu:numba")}
    assert chosen == {"cpu:numba"}
    assert engines.choose("cpu:numpy").NAME == "cpu:numpy"
    X, y = np.random.default_rng(0).normal(size=(9, 40, 3)), np.arange(360.0).reshape(9, 40)
    assert {gpuols.fit(X, y, device=name).engine for name in ("auto", "cpu")} == {"cpu:numba"}


MISSING = """raise ModuleNotFoundError("No module named 'numba'", name="numba")"""
UNFIT = 'raise ImportError("Numba needs NumPy 1.9 or less.\\nGot NumPy 2.4.")'
BROKEN = 'raise AttributeError("no attribute long")'


@pytest.mark.parametrize(
    ("numba", "reason"),
    [
        (MISSING, 'Numba is not installed: pip install "gpuols[cpu]"'),
        (UNFIT, "Numba can't be imported: Numba needs NumPy 1.9 or less. Got NumPy 2.4."),
        (BROKEN, "Numba can't be imported: no attribute long"),
    ],
)
def test_without_numba_numpy_is_meant_and_the_reason_told(tmp_path, numba, reason):
    (tmp_path / "numba.py").write_text(numba)
    code = """
print(gpuols.info().engines["cpu:numba"])
print(gpuols.precompile())
for verb in (
    lambda: gpuols.fit(X, y, device="cpu:numba"),
    lambda: gpuols.precompile("cpu"),
    lambda: gpuols.precompile("cpu:numba"),
):
    try:
        verb()
    except gpuols.DeviceError as error:
        print(error)
"""
    fits, told, compiled, fit, *ahead = run(FIT + code, tmp_path)
    assert fits == "cpu:numpy cpu:numpy cpu:numpy"
    assert (told, compiled) == (reason, "0")
    assert fit.startswith(f"device: got 'cpu:numba' ({reason}), expected 'auto' or 'cpu'")
    for name, error in zip(("cpu", "cpu:numba"), ahead, strict=True):
        assert error.startswith(f"device: got {name!r} ({reason}), expected an engine of compiled")


@needs_numba
def test_where_numba_is_to_compile_nothing_numpy_is_meant_and_the_reason_told(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    fits, told = run(FIT + 'print(gpuols.info().engines["cpu:numba"])')
    assert fits == "cpu:numpy cpu:numpy cpu:numpy"
    assert told == "NUMBA_DISABLE_JIT is set: unset it before Python starts"


# Compiled ahead


def test_the_numpy_engine_needs_no_compiling():
    with pytest.raises(InputError, match=r"'cpu:numpy'.*name what is compiled"):
        gpuols.precompile("cpu:numpy")


@needs_numba
def test_code_for_few_columns_is_compiled_ahead_and_for_more():
    from gpuols.engines.jit.products import NARROW

    assert [*precompile._COLUMNS] == [*range(NARROW + 2)]


@needs_numba
def test_what_is_compiled_ahead_is_all_that_fits_need(monkeypatch):
    from gpuols.engines.jit.batch import fit_some

    monkeypatch.setattr(precompile, "_COLUMNS", [3])
    told = []
    assert gpuols.precompile("cpu", progress=lambda *step: told.append(step)) == 8
    assert told == [(done, 8) for done in range(1, 9)]
    ahead = set(fit_some.signatures)
    X, y = np.random.default_rng(0).normal(size=(9, 40, 3)), np.arange(360.0).reshape(9, 40)
    for own in (X, X.astype("f4"), np.asfortranarray(X), X[::-1]):
        for missing in ("nan", "drop"):
            options = {"missing": missing, "add_intercept": True, "device": "cpu"}
            gpuols.fit(own, y, ridge=2, tol=1, **options)
            gpuols.fit(own, np.stack([y] * 3, axis=2), weights=np.ones(40), **options)
    gpuols.fit(X[0], y[0], device="cpu")
    gpuols.moments(X, y)
    assert set(fit_some.signatures) == ahead
    assert len(ahead) >= 4
    after = """
from gpuols.engines.jit.batch import fit_some
print(len(fit_some.stats.cache_hits), len(fit_some.stats.cache_misses))
"""
    assert run(FIT + after) == ["cpu:numba cpu:numba cpu:numpy", "1 0"]
