"""What one small fit costs beside its arithmetic, and the benchmark that says so."""

import cProfile
import json
import pstats
from dataclasses import FrozenInstanceError, dataclass, replace
from importlib.util import find_spec
from inspect import signature

import numpy as np
import pytest

import gpuols
from benchmarks import latency
from gpuols.engines import threads
from gpuols.lazy import lazy
from gpuols.options import THREADS_VARIABLE
from gpuols.records import changed, filled

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="needs Numba")
ENGINES = ("cpu:numpy", pytest.param("cpu:numba", marks=needs_numba))


def one(n=100, k=5):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, k)), rng.normal(size=n)


@pytest.mark.parametrize("device", ENGINES)
def test_one_regression_starts_no_threads(monkeypatch, device):
    def refuse(*_, **__):
        raise AssertionError("a pool")

    monkeypatch.setenv(THREADS_VARIABLE, "4")
    monkeypatch.setattr(threads._crew, "hire", refuse)
    X, y = one()
    assert gpuols.fit(X, y, device=device).status == gpuols.Status.OK
    with pytest.raises(AssertionError, match="a pool"):
        gpuols.fit(np.stack([X, X]), np.stack([y, y]), device=device, batch_size=1)


@needs_numba
def test_compiled_code_leaves_blas_its_threads(monkeypatch):
    told = []
    monkeypatch.setattr(threads, "_set_blas_threads", told.append)
    gpuols.fit(*one(), device="cpu:numba")
    assert not told
    gpuols.fit(*one(), device="cpu:numpy")
    assert told


@pytest.mark.parametrize(
    ("device", "most"), [("cpu:numpy", 1200), pytest.param("cpu:numba", 300, marks=needs_numba)]
)
def test_one_regression_takes_few_calls_of_functions(device, most):
    (X, y), profile = one(), cProfile.Profile()
    gpuols.fit(X, y, device=device)
    profile.runcall(gpuols.fit, X, y, device=device)
    assert pstats.Stats(profile).total_calls <= most


@pytest.mark.parametrize("device", ENGINES)
def test_the_benchmark_says_where_the_time_goes(capsys, monkeypatch, tmp_path, device):
    monkeypatch.setattr(latency, "_TIMES", 3)
    latency.main(["--device", device, "--out", str(tmp_path / "one.json")])
    found = json.loads((tmp_path / "one.json").read_text())
    assert found["device"] == device
    assert 0 < found["fit_us"] < 1e6
    assert 0 < found["read_us"] < 1e6
    assert sum(found["shares"].values()) == pytest.approx(1.0)
    own = {"cpu:numpy": ("sum", "solve"), "cpu:numba": ("lay out", "compiled")}
    told = capsys.readouterr().out
    for stage in ("check", "wrap", "read", "rest", *own[device]):
        assert found["shares"][stage] > 0, stage
        assert f"% {stage}\n" in told


def test_a_record_filled_at_once_is_as_dataclasses_fill_it():
    @dataclass(frozen=True)
    class Slow:
        side: int
        name: str = "a"

    @filled
    @dataclass(frozen=True)
    class Square(Slow):
        sides: int = 4

    assert vars(Square(2, sides=5)) == {"side": 2, "name": "a", "sides": 5}
    assert Square(2, "b") == replace(Square(1, "b"), side=2)
    assert str(signature(Square)) == "(side: int, name: str = 'a', sides: int = 4) -> None"
    with pytest.raises(TypeError, match="side"):
        Square()
    with pytest.raises(TypeError, match="area"):
        Square(2, area=4)
    with pytest.raises(FrozenInstanceError):
        Square(2).side = 3


def test_a_changed_record_keeps_what_is_given_and_nothing_computed():
    @dataclass(frozen=True)
    class Square:
        side: int
        name: str

        @lazy
        def area(self) -> int:
            return self.side**2

    square = Square(2, "a")
    assert square.area == 4
    larger = changed(square, side=3)
    assert (larger, larger.area, square.area) == (Square(3, "a"), 9, 4)
