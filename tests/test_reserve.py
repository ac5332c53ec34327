"""Room that is kept from call to call is nobody else's meanwhile, and no number depends on it."""

import gc
import mmap

import numpy as np
import pytest

import gpuols
from gpuols.engines import reserve

SIZE = reserve._LEAST // 8
needs_advice = pytest.mark.skipif(not hasattr(mmap, "MADV_FREE"), reason="needs MADV_FREE")


@pytest.fixture(autouse=True)
def nothing_kept():
    reserve._room.clear()
    yield
    reserve._room.clear()


def place(array):
    return array.ctypes.data


@needs_advice
def test_room_that_nobody_holds_is_taken_again():
    first = reserve.take(SIZE + 8)
    first[:] = 1.0
    part, where = first[3:5], place(first)
    del first
    second = reserve.take(SIZE)
    assert place(second) != where  # somebody holds a part of it
    del part, second
    assert len(reserve._room) == 1
    third = reserve.take(SIZE)
    assert (len(third), len(reserve._room)) == (SIZE, 0)
    third[:] = 2.0
    assert third.sum() == 2.0 * SIZE


@needs_advice
def test_room_that_is_too_small_is_left_to_the_system():
    array = reserve.take(SIZE)
    del array
    array = reserve.take(2 * SIZE)
    assert len(array) == 2 * SIZE
    assert not reserve._room
    del array
    assert len(reserve._room[0]) == 16 * SIZE


@needs_advice
def test_no_more_is_kept_than_a_budget(monkeypatch):
    monkeypatch.setattr(reserve, "_MOST", reserve._LEAST)
    array = reserve.take(SIZE + 1)
    del array
    assert not reserve._room


@needs_advice
def test_two_calls_at_once_have_room_of_their_own():
    one, other = reserve.take(SIZE), reserve.take(SIZE)
    assert not np.shares_memory(one, other)
    del one, other
    assert len(reserve._room) == 1


def test_little_room_and_any_on_other_systems_is_not_kept(monkeypatch):
    array = reserve.take(SIZE - 1)
    assert place(array) % 64 == 0
    del array
    assert not reserve._room
    monkeypatch.delattr(mmap, "MADV_FREE", raising=False)
    array = reserve.take(SIZE)
    assert (len(array), place(array) % 64) == (SIZE, 0)
    del array
    assert not reserve._room


@needs_advice
def test_an_older_system_that_does_not_know_the_advice_keeps_nothing(monkeypatch):
    monkeypatch.setattr(mmap, "MADV_FREE", 10**6)
    array = reserve.take(SIZE)
    del array
    assert not reserve._room


@needs_advice
def test_without_memory_the_error_is_that_of_numpy(monkeypatch):
    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert len(reserve.take(SIZE)) == SIZE
    with pytest.raises(MemoryError):
        reserve.take(2**50)


@needs_advice
def test_groups_have_the_same_bits_whatever_the_room_held(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(reserve, "_LEAST", 8)
    rng = np.random.default_rng(0)
    keys, x, y = rng.integers(0, 40, 5000), rng.normal(size=(5000, 3)), rng.normal(size=5000)
    want = gpuols.fit_groups(x, y, keys, device="cpu:numba", add_intercept=True)
    gc.collect()
    assert len(reserve._room) == 1
    for value in (np.nan, np.inf, 1e-310):
        np.frombuffer(reserve._room[0])[:] = value
        got = gpuols.fit_groups(x, y, keys, device="cpu:numba", add_intercept=True)
        for name in ("params", "bse", "ssr", "error_bound", "status"):
            assert getattr(got, name).tobytes() == getattr(want, name).tobytes(), name
