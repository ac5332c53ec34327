"""Parts of the compiled CPU engine: numbers side by side, and what is kept on disk."""

import inspect
import os
import pkgutil
import runpy
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from types import CodeType, FunctionType, ModuleType

import numpy as np
import pytest

from gpuols import engines

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="needs Numba")

if find_spec("numba") is not None:
    from numba import config, njit
    from numba.core.dispatcher import Dispatcher

    from gpuols.engines.jit import compiling
    from gpuols.engines.jit.lanes import choose, every, fma, near_root, root, size
    from gpuols.engines.jit.memory import load, store

    @njit
    def work(a, b, out):
        x, y = load(a, 0), load(b, 0)
        for row, value in enumerate((x + y, x - y, x * y, x / y, 2.0 - x, y * 0.5, fma(x, y, x))):
            store(out, row, value)
        for row, value in enumerate((root(x), size(x), near_root(x), every(7.0))):
            store(out, 7 + row, value)
        one, zero = every(1.0), every(0.0)
        for row, where in enumerate(
            (x > y, x >= y, x < y, x <= y, x == y, (x > y) & (x > 0.0), (x > y) | ~(x == x))
        ):
            store(out, 11 + row, choose(where, one, zero))


NUMBERS = (0.0, -0.0, 1.0, -2.5, 1e300, 5e-324, np.inf, -np.inf, np.nan, 3.0, 0.1)


def test_each_lane_is_a_number_of_its_own():
    rng, out = np.random.default_rng(0), np.empty((18, 8))
    with np.errstate(all="ignore"):
        for _ in range(200):
            x, y = rng.choice(NUMBERS, (2, 8))
            work(x[None], y[None], out)
            expected = [x + y, x - y, x * y, x / y, 2.0 - x, y * 0.5]
            np.testing.assert_array_equal(out[:6], expected)
            np.testing.assert_array_equal(out[7:9], [np.sqrt(x), np.abs(x)])
            assert (out[10] == 7.0).all()
            wheres = x > y, x >= y, x < y, x <= y, x == y, (x > y) & (x > 0), (x > y) | (x != x)
            np.testing.assert_array_equal(out[11:], wheres)


def test_a_product_and_a_sum_are_rounded_once():
    x = np.full((1, 8), 1.0 + 2.0**-30)
    out = np.empty((18, 8))
    work(x, x, out)
    assert (out[6] == 2.0 + 3.0 * 2.0**-30 + 2.0**-60).all()
    work(x, -x + 2.0**-31, out)
    assert (out[6] == -(2.0**-31) * (1.0 + 2.0**-30)).all()


def test_scales_are_powers_of_two_near_one_over_the_root():
    x, out = np.array([[1.0, 2.0, 3.9, 4.0, 1e300, 1e-300, 0.0, -1.0]]), np.empty((18, 8))
    work(x, x, out)
    mantissa, _ = np.frexp(out[9])
    assert (mantissa == 0.5).all()
    left = (x[0] * out[9] ** 2)[:6]
    assert ((left >= 0.5) & (left < 2.0)).all()
    assert (out[9][6:] == 1.0).all()


def test_what_is_kept_is_found_by_all_that_it_is_made_of(monkeypatch, tmp_path):
    found = compiling._fingerprint()
    assert found == compiling._fingerprint() == compiling._STAMP
    for name in ("engines/jit/compiling.py", "numerics/pivots.py", "errors.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("pass")
    monkeypatch.setattr(compiling, "__file__", str(tmp_path / "engines/jit/compiling.py"))
    seen = {found, compiling._fingerprint()}
    for number, name in enumerate(("numerics/pivots.py", "errors.py", "engines/jit/more.py")):
        (tmp_path / name).write_text("...")
        seen.add(compiling._fingerprint())
        assert len(seen) == number + 3


CALLERS = """
def of_a_lambda():
    return lambda: inner(0)
def good():
    return kept(0)
@cache
def cached():
    return other.deep(0)
class Holder:
    @property
    def own(self):
        return other.deep(0)
"""


def called_by_python(module):
    """Functions for compiled code alone that other functions of a module name."""
    values = [*vars(module).values()]
    values += [own for value in values if isinstance(value, type) for own in vars(value).values()]
    values = [getattr(value, "fget", getattr(value, "__func__", value)) for value in values]
    found = [inspect.unwrap(value) for value in values if not isinstance(value, Dispatcher)]
    codes = [
        f.__code__ for f in found if isinstance(f, FunctionType) and f.__module__ == module.__name__
    ]
    others = [value for value in values if isinstance(value, ModuleType)]
    for code in codes:
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
        for place, name in product([module, *others], code.co_names):
            function = vars(place).get(name)
            if isinstance(function, Dispatcher) and "no_cpython_wrapper" in function.targetoptions:
                yield f"{module.__name__}.{code.co_name}: {name}"


def test_python_calls_nothing_that_only_compiled_code_can():
    found = pkgutil.walk_packages(engines.__path__, f"{engines.__name__}.")
    modules = [import_module(info.name) for info in found]
    assert [fault for module in modules for fault in called_by_python(module)] == []


def test_what_python_must_not_call_is_found():
    module, other = ModuleType("module"), ModuleType("other")
    module.other, module.cache, module.kept = other, cache, compiling.kept(half)
    module.inner, other.deep = compiling.compiled(half), compiling.compiled(half)
    exec(CALLERS, vars(module))
    faults = ["module.<lambda>: inner", "module.cached: deep", "module.own: deep"]
    assert sorted(called_by_python(module)) == faults


def half(x):
    return x // 2


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """A folder of one's own for what is kept."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    return tmp_path


def test_what_is_kept_is_compiled_once(shelf):
    first, second = compiling.kept(half), compiling.kept(half)
    assert first(7) == second(7) == 3
    assert (len(first.stats.cache_misses), len(second.stats.cache_hits)) == (1, 1)


def test_what_is_kept_is_fresh_while_the_sources_say_the_same(shelf, monkeypatch):
    source = shelf / "third.py"
    source.write_text("def third(x):\n    return x // 3\n")

    def hits():
        function = compiling.kept(runpy.run_path(str(source))["third"])
        assert function(7) == 2
        return len(function.stats.cache_hits)

    assert hits() == 0
    os.utime(source, (0, 0))
    assert hits() == 1
    monkeypatch.setattr(compiling, "_STAMP", "of other sources")
    assert hits() == 0


def test_processes_that_compile_at_once_never_take_each_others_code(shelf):
    first, second = compiling.kept(half), compiling.kept(half)
    write = first._cache._cache_file._save_data

    def write_late(*of):
        second._cache._cache_file._load_index = dict  # as it was read before
        assert second(7) == 3
        write(*of)

    first._cache._cache_file._save_data = write_late
    assert first(7.0) == 3.0
    after = compiling.kept(half)
    assert [type(after(x)) for x in (7, 7.0)] == [int, float]
    assert len(after.stats.cache_hits) == 1


@pytest.mark.parametrize("trouble", ["_save_index", "_save_data", "_load_index"])
def test_a_disk_that_fails_is_no_error(shelf, trouble):
    def fail(*of):
        raise OSError(28, "No space left on device")

    function = compiling.kept(half)
    setattr(function._cache._cache_file, trouble, fail)
    assert function(7) == 3
    assert compiling.kept(half)(7) == 3


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("length", [0, 90])
def test_what_is_kept_by_halves_is_compiled_again(shelf, kind, length):
    assert compiling.kept(half)(7) == 3
    (cut,) = shelf.rglob(f"*.{kind}")
    cut.write_bytes(cut.read_bytes()[:length])
    second, third = compiling.kept(half), compiling.kept(half)
    assert second(7) == third(7) == 3
    assert (len(second.stats.cache_misses), len(third.stats.cache_hits)) == (1, 1)


def test_without_a_place_to_keep_it_a_function_is_compiled_for_this_process(monkeypatch):
    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiling, "_Shelf", refuse)
    assert compiling.kept(half)(7) == 3
