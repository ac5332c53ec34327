"""Progress, interruption, and calls from many threads at once."""

import concurrent.futures
import itertools
import os
import re
import signal
import threading
import time

import numpy as np
import pytest
import threadpoolctl

import gpuols

NUMBERS = ("params", "bse", "ssr", "error_bound", "normalized_cov", "status", "rank")


def normal(*shape, seed=0):
    array = np.random.default_rng(seed).normal(size=shape)
    array.setflags(write=False)
    return array


X, Y = normal(60, 12, 2), normal(60, 12, seed=1)
KEYS = np.random.default_rng(2).permutation(np.repeat(np.arange(60), 12))
REDUCED = gpuols.moments(X, Y, add_intercept=True)
RIDGES = np.arange(300.0)
CALLS = {
    "a batch": (60, lambda **o: gpuols.fit(X, Y, add_intercept=True, **o)),
    "a grid": (60, lambda **o: gpuols.fit(X.reshape(5, 12, 12, 2), Y.reshape(5, 12, 12), **o)),
    "one design": (300, lambda **o: gpuols.fit(X[0], normal(12, 300), **o)),
    "responses as rows": (300, lambda **o: gpuols.fit(X[:1], normal(300, 12), **o)),
    "a ridge each": (300, lambda **o: gpuols.fit(X[:1], normal(300, 12), ridge=RIDGES, **o)),
    "groups": (60, lambda **o: gpuols.fit_groups(X.reshape(-1, 2), Y.ravel(), KEYS, **o)),
    "moments": (60, lambda **o: gpuols.fit_moments(gpuols.moments(X, Y, **o))),
    "from moments": (60, lambda **o: gpuols.fit_moments(REDUCED, **o)),
    "one": (1, lambda **o: gpuols.fit(X[0], Y[0], **o)),
}
calls = pytest.mark.parametrize(("total", "call"), CALLS.values(), ids=CALLS)


@pytest.fixture(params=["1", "4"], ids=["one thread", "four threads"])
def threads(request, monkeypatch):
    monkeypatch.setenv("GPUOLS_NUM_THREADS", request.param)
    return int(request.param)


def blas_threads():
    return [(p["filepath"], p["num_threads"]) for p in threadpoolctl.threadpool_info()]


@pytest.fixture(autouse=True)
def two_blas_threads():
    """Start every test with BLAS at two threads, and see that it ends so."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        assert any(number == 2 for _, number in before)
        yield before
        assert blas_threads() == before


def assert_same_bits(got, want):
    for name in NUMBERS:
        assert getattr(got, name).tobytes() == getattr(want, name).tobytes(), name


def recorder():
    seen = []

    def progress(done, total):
        seen.append((done, total))

    return seen, progress


@calls
@pytest.mark.parametrize("batch_size", [None, 1, 7, 100, 10**6])
def test_done_grows_up_to_the_total(total, call, batch_size, threads):
    seen, progress = recorder()
    call(progress=progress, batch_size=batch_size)
    assert {of for _, of in seen} == {total}
    steps = [done for done, _ in seen]
    assert steps == sorted(set(steps))
    assert steps[-1] == total
    assert steps[0] > 0
    assert all(type(done) is int and type(of) is int for done, of in seen)


@pytest.mark.parametrize(
    ("name", "batch_size", "number"),
    [
        *(("a batch", size, -(-60 // size)) for size in (1, 7, 20, 59, 60, 1000)),
        *(("groups", size, -(-60 // size)) for size in (1, 7, 60)),
        *(("one design", size, number) for size, number in ((1, 3), (129, 2), (300, 1))),
    ],
)
def test_batch_size_is_how_many_are_done_at_once(name, batch_size, number, threads):
    seen, progress = recorder()
    CALLS[name][1](progress=progress, batch_size=batch_size)
    assert len(seen) == number


@calls
@pytest.mark.parametrize("batch_size", [1, 7, 10**6])
def test_batch_size_never_reaches_the_bits(total, call, batch_size, threads):
    assert_same_bits(call(batch_size=batch_size), call())


@calls
def test_progress_never_reaches_the_bits(total, call, threads):
    assert_same_bits(call(progress=lambda done, total: None), call())


def test_nothing_to_do_is_done_in_silence(capsys):
    seen, progress = recorder()
    for option in (progress, True):
        gpuols.fit(X[:0], Y[:0], progress=option)
        gpuols.fit_groups(normal(0, 2), normal(0), [], progress=option)
    assert all(done == total == 0 for done, total in seen)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "" or captured.err.endswith("\n")


@calls
def test_progress_true_writes_a_line_to_stderr(total, call, threads, capsys):
    call(progress=True, batch_size=7)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1
    shown = captured.err.strip().split("\r")
    assert shown[-1] == f"{total} of {total} (100%)"
    assert all(re.fullmatch(rf"\d+ of {total} \(\d+%\)", part.strip()) for part in shown)


def test_progress_false_is_silent(capsys):
    CALLS["a batch"][1](batch_size=7)
    assert capsys.readouterr() == ("", "")


class StopThisError(Exception):
    """Raised by a callback."""


@calls
@pytest.mark.parametrize("error", [StopThisError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_in_the_callback_comes_out(total, call, error, threads, two_blas_threads):
    seen = []

    def progress(done, total):
        seen.append(done)
        raise error("enough")

    with pytest.raises(error, match="enough"):
        call(progress=progress, batch_size=1)
    assert len(seen) <= threads
    assert blas_threads() == two_blas_threads


@pytest.mark.parametrize("error", [StopThisError, KeyboardInterrupt])
def test_an_exception_in_the_callback_stops_the_work(error, threads):
    X, y = normal(3000, 20, 2), normal(3000, 20, seed=1)
    seen = []

    def progress(done, total):
        seen.append(done)
        if len(seen) == 3:
            raise error

    with pytest.raises(error):
        gpuols.fit(X, y, progress=progress, batch_size=1)
    assert 3 <= len(seen) <= 3 + threads
    number = threading.active_count()
    assert_same_bits(gpuols.fit(X[:5], y[:5]), gpuols.fit(X, y)[:5])
    assert threading.active_count() == number


def test_an_interrupt_from_the_keyboard_stops_the_work(threads, two_blas_threads):
    seen = []

    def progress(done, total):
        seen.append(done)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.002)

    with pytest.raises(KeyboardInterrupt):
        gpuols.fit(normal(3000, 12, 2), normal(3000, 12), progress=progress, batch_size=1)
    assert len(seen) < 1000
    assert blas_threads() == two_blas_threads


def test_who_calls_works_too(threads, monkeypatch):
    seen = set()

    def progress(done, total):
        seen.add(threading.current_thread())
        time.sleep(0.001)

    CALLS["a batch"][1](progress=progress, batch_size=1)
    assert threading.main_thread() in seen
    assert len(seen) <= threads


def test_calls_of_the_callback_never_overlap(threads):
    inside = threading.Lock()

    def progress(done, total):
        assert inside.acquire(blocking=False)
        try:
            time.sleep(0.001)
        finally:
            inside.release()

    CALLS["a batch"][1](progress=progress, batch_size=1)


def test_the_callback_may_fit_something_itself(threads, two_blas_threads):
    inner = []

    def progress(done, total):
        inner.append(gpuols.fit(X[:4], Y[:4], add_intercept=True, batch_size=1))

    outer = gpuols.fit(X, Y, add_intercept=True, progress=progress, batch_size=20)
    assert len(inner) == 3
    for result in inner:
        assert_same_bits(result, outer[:4])


def test_blas_has_one_thread_until_the_last_call_is_done(threads):
    seen = []

    def progress(done, total):
        gpuols.fit(X[0], Y[0], device="cpu:numpy")
        seen.append({number for path, number in blas_threads() if "numpy" in path.lower()})

    CALLS["a batch"][1](progress=progress, batch_size=20, device="cpu:numpy")
    assert seen == [{1}] * 3


def test_blas_has_one_thread_whichever_thread_calls(threads, two_blas_threads):
    seen = []

    def progress(done, total):
        seen.append({number for path, number in blas_threads() if "numpy" in path.lower()})

    call = CALLS["a batch"][1]
    for _ in range(2):
        options = {"progress": progress, "batch_size": 20, "device": "cpu:numpy"}
        thread = threading.Thread(target=call, kwargs=options)
        thread.start()
        thread.join()
        assert blas_threads() == two_blas_threads
        call(**options)
        assert blas_threads() == two_blas_threads
    assert seen == [{1}] * 12


@pytest.mark.parametrize("first", ["main", "other"])
def test_the_last_call_out_may_be_of_another_thread_than_the_first_in(
    threads, two_blas_threads, first
):
    arrived, left = threading.Event(), threading.Event()

    def come_first():
        CALLS["one"][1](progress=lambda done, total: (arrived.set(), second.wait(10)))
        left.set()

    def leave_last():
        arrived.wait(10)
        CALLS["one"][1](progress=lambda done, total: (second.set(), left.wait(10)))

    second = threading.Event()
    mine, others = (come_first, leave_last) if first == "main" else (leave_last, come_first)
    thread = threading.Thread(target=others)
    thread.start()
    mine()
    thread.join()
    assert blas_threads() == two_blas_threads


def test_others_can_limit_blas_after_a_fit_in_a_thread_that_goes_on(threads):
    fitted, end = threading.Event(), threading.Event()

    def work():
        CALLS["one"][1]()
        fitted.set()
        end.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    fitted.wait(10)
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert {number for path, number in blas_threads() if "numpy" in path.lower()} == {1}
    end.set()
    thread.join()


def test_eight_threads_fit_at_once_to_the_bit(threads, two_blas_threads):
    names = [*CALLS] * 4
    want = {name: call(batch_size=9) for name, (_, call) in CALLS.items()}
    gate = threading.Barrier(8)

    def work(name, place):
        if place < 8:
            gate.wait(10)
        return CALLS[name][1](batch_size=9)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for name, got in zip(names, pool.map(work, names, itertools.count()), strict=True):
            assert_same_bits(got, want[name])
    assert blas_threads() == two_blas_threads


def test_calls_that_fail_at_once_leave_the_others_alone(threads, two_blas_threads):
    _, call = CALLS["a batch"]
    want, gate = call(), threading.Barrier(8)

    def fail(done, total):
        raise StopThisError

    def work(place):
        gate.wait(10)
        try:
            return call(batch_size=5, progress=fail if place % 2 else False)
        except StopThisError:
            return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert [got is None for got in found] == [False, True] * 4
    for got in found[::2]:
        assert_same_bits(got, want)
    assert blas_threads() == two_blas_threads
