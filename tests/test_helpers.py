"""Helpers stay from call to call, and no call leaves anything with them."""

import _thread
import gc
import os
import random
import signal
import sys
import threading
import time
import weakref
from contextlib import nullcontext

import numpy as np
import pytest

import gpuols
from gpuols.engines import helpers, threads

PATIENCE = 10


@pytest.fixture(params=[2, 4])
def number(request, monkeypatch):
    """Threads of a call, with a crew of its own."""
    monkeypatch.setenv("GPUOLS_NUM_THREADS", str(request.param))
    monkeypatch.setattr(threads, "_crew", crew := helpers.Crew())
    yield request.param
    dismiss(crew)


def rows(count=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 12, 2)), rng.normal(size=(count, 12))


def fit(**options):
    return gpuols.fit(*rows(), batch_size=1, **options)


def there():
    """How many threads there are, those that `threading` does not know too."""
    return len(sys._current_frames())


def are_idle(crew):
    """Whether all helpers that are counted come to be idle."""
    end = time.monotonic() + PATIENCE
    while len(crew._idle) != crew._number and time.monotonic() < end:
        time.sleep(0.0002)
    return len(crew._idle) == crew._number


def dismiss(crew):
    """End the helpers of a crew, which has none then."""
    assert are_idle(crew)
    before, number = there(), crew._number
    crew.hire(sys.exit, number, number)
    end = time.monotonic() + PATIENCE
    while there() > before - number and time.monotonic() < end:
        time.sleep(0.0002)
    assert there() == before - number
    crew._number = 0


def test_they_stay_and_are_one_fewer_than_threads(number, monkeypatch):
    before = there()
    for calls in (1, 30):
        for _ in range(calls):
            fit()
        assert are_idle(threads._crew)
        assert there() == before + number - 1
    monkeypatch.setenv("GPUOLS_NUM_THREADS", "1")
    fit()
    assert there() == before + number - 1


def test_they_are_as_few_where_many_call_at_once(number, monkeypatch):
    before, ready = there(), threading.Barrier(8)

    class Slow(helpers.Crew):
        """One that looks for a while how many there are."""

        @property
        def _number(self):
            seen = self.seen
            time.sleep(0.002)
            return seen

        @_number.setter
        def _number(self, number):
            self.seen = number

    monkeypatch.setattr(threads, "_crew", crew := Slow())

    def call():
        ready.wait(PATIENCE)
        fit()

    others = [threading.Thread(target=call) for _ in range(8)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert are_idle(crew)
    found = there() - before
    dismiss(crew)
    assert found == number - 1


def test_who_calls_alone_where_no_thread_can_start(number, monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(helpers, "start_new_thread", refuse)
    seen = set()
    fit(progress=lambda done, total: seen.add(threading.current_thread()))
    assert seen == {threading.main_thread()}
    monkeypatch.setattr(helpers, "start_new_thread", _thread.start_new_thread)
    before = there()
    fit()
    assert are_idle(threads._crew)
    assert there() > before


def test_they_can_be_hired_while_they_are_hired(number, monkeypatch):
    place, done = helpers._place, []
    within = [lambda: threads.spread(range(4), lambda task, space: done.append(task) or 1)]

    def place_and_call(*given):
        place(*given)
        if within and threading.current_thread() is caller:
            within.pop()()

    fit()
    assert are_idle(threads._crew)
    monkeypatch.setattr(helpers, "_place", place_and_call)
    caller = threading.Thread(target=fit, daemon=True)  # where it waits for itself it fails here
    caller.start()
    caller.join(PATIENCE)
    assert not caller.is_alive()
    assert sorted(done) == [0, 1, 2, 3]
    assert not within


@pytest.mark.parametrize("moment", range(4))
def test_blas_has_its_threads_again_after_a_fit_within_a_fit(number, monkeypatch, moment):
    plain, passed, held = threads._set_blas_threads, [], []

    def blas_threads():
        return [library.num_threads for library in threads._blas()]

    def work(task, space):
        held.append(blas_threads())
        return 1

    def limit(numbers):
        for when in ("before", "after"):
            passed.append(when)
            if len(passed) - 1 == moment:
                threads.run(range(4), work)
            if when == "before":
                plain(numbers)

    own = blas_threads()
    plain([2] * len(own))
    before = blas_threads()
    monkeypatch.setattr(threads, "_guard", threads._BlasGuard())
    monkeypatch.setattr(threads, "_set_blas_threads", limit)
    caller = threading.Thread(target=threads.run, args=(range(4), work), daemon=True)
    caller.start()
    caller.join(PATIENCE)
    after = blas_threads()
    plain(own)
    assert not caller.is_alive()
    assert after == before
    assert held == [[1] * len(before)] * 8
    assert not threads._guard.users


def test_the_last_to_end_wakes_who_calls(number, monkeypatch):
    monkeypatch.setattr(threads, "_PATIENCE", PATIENCE)
    both = threading.Barrier(2)

    def work(task, space):
        both.wait(PATIENCE)
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.1)
        return 1

    start = time.monotonic()
    threads.spread(range(2), work)
    assert time.monotonic() < start + PATIENCE / 2


def test_one_who_comes_late_finds_nothing_to_do(number):
    jobs, done = [], []

    class Late:
        def hire(self, job, wanted, most):
            jobs.append(job)

    threads._crew = Late()
    threads.spread(range(3), lambda task, space: done.append(task) or 1)
    jobs[0]()
    assert done == [0, 1, 2]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_a_call_is_held_when_it_has_ended(number, fails):
    class Data:
        pass

    def call(data):
        def work(task, space):
            assert data is not None
            time.sleep(0.0005)
            if fails and task == 7:
                raise ValueError("seven")
            return 1

        threads.spread(range(12), work)

    gc.collect()
    gc.disable()
    try:
        held = []
        for _ in range(20):
            data = Data()
            held.append(weakref.ref(data))
            with pytest.raises(ValueError, match="seven") if fails else nullcontext():
                call(data)
            del data
            assert held[-1]() is None
    finally:
        gc.enable()


def test_calls_beside_a_long_one_hold_nothing_either(number):
    inside, on, held = threading.Event(), threading.Event(), []

    def wait(task, space):
        inside.set()
        assert on.wait(PATIENCE)
        return 1

    long = threading.Thread(target=threads.spread, args=(range(4), wait))
    long.start()
    assert inside.wait(PATIENCE)
    for _ in range(5):
        work = lambda task, space: 1  # noqa: E731 (one of its own each time)
        held.append(weakref.ref(work))
        threads.spread(range(4), work)
        del work
    assert [here() for here in held] == [None] * 5
    on.set()
    long.join()


def test_an_interrupt_while_the_caller_waits_is_raised_when_all_have_ended(number):
    main, ended, told = threading.main_thread(), [], []
    helping = threading.Event()

    def work(task, space):
        if threading.current_thread() is main:
            assert helping.wait(PATIENCE)
            return 1
        helping.set()
        time.sleep(0.1)
        _thread.interrupt_main()
        time.sleep(0.4)
        ended.append(task)
        return 1

    with pytest.raises(KeyboardInterrupt):
        threads.spread(range(2), work, lambda done, total: told.append(done), 2)
    assert len(ended) == 1
    after = list(told)
    time.sleep(0.2)
    assert told == after


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors can't be chosen")
def test_they_work_on_the_processors_of_who_calls(number):
    every = os.sched_getaffinity(0)
    if len(every) < 2:
        pytest.skip("one processor")
    seen = {}

    def work(task, space):
        time.sleep(0.001)
        seen[threading.get_ident()] = os.sched_getaffinity(0)
        return 1

    try:
        for wanted in (every, {min(every)}, {max(every)}, every):
            os.sched_setaffinity(0, wanted)
            seen.clear()
            threads.spread(range(20), work)
            assert len(seen) > 1
            assert all(own == wanted for own in seen.values())
    finally:
        os.sched_setaffinity(0, every)


@pytest.mark.parametrize("when", ["_place", "start_new_thread"])
def test_none_is_lost_to_an_interrupt_while_they_are_hired(number, monkeypatch, when):
    main, own = threading.main_thread(), getattr(helpers, when)
    crew, before, caught = threads._crew, there(), 0
    left = [KeyboardInterrupt] * 10

    def interrupted(*given):
        own(*given)
        if left and threading.current_thread() is main:
            raise left[-1]

    def work(task, space):
        seen.add(threading.get_ident())
        time.sleep(0.002)
        return 1

    monkeypatch.setattr(helpers, when, interrupted)
    for _ in range(20):
        seen = set()
        try:
            threads.spread(range(20), work)
        except KeyboardInterrupt:
            caught += 1
        assert are_idle(crew)
        assert there() - before == crew._number
        del left[-1:]
    assert caught >= number - 1
    assert len(seen) == number


@pytest.fixture
def interrupts(number):
    """Have something called, several tasks at a time, until so many interrupts have come into it.

    They come at any time. Yields each time.
    """
    if not hasattr(signal, "setitimer"):
        pytest.skip("no alarm can be set")
    armed, moments = [], random.Random(number)

    def ring(*arguments):
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    def call(function, wanted):
        end = time.monotonic() + 6 * PATIENCE
        while wanted and time.monotonic() < end:
            try:
                armed.append(True)
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(2e-6, 3e-4))
                function(range(6), lambda task, space: 1)
                armed.clear()
            except KeyboardInterrupt:
                wanted -= 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            yield
        assert not wanted

    before, tracer = signal.signal(signal.SIGALRM, ring), sys.gettrace()
    sys.settrace(None)  # what measures coverage has a lock that an interrupt may leave taken
    yield call
    sys.settrace(tracer)
    signal.signal(signal.SIGALRM, before)


def test_none_is_lost_to_an_interrupt_at_any_time(interrupts):
    for number, _ in enumerate(interrupts(threads.spread, 1000)):
        assert are_idle(threads._crew)
        if number % 2:
            dismiss(threads._crew)


def test_blas_has_its_threads_again_after_an_interrupt_at_any_time(interrupts):
    before = [library.num_threads for library in threads._blas()]
    for _ in interrupts(threads.run, 1000):
        assert [library.num_threads for library in threads._blas()] == before
        assert not threads._guard.users


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors can't be chosen")
def test_they_begin_on_another_processor_than_who_calls(number, monkeypatch):
    every, placed, choose = os.sched_getaffinity(0), [], os.sched_setaffinity
    if len(every) < 2:
        pytest.skip("one processor")

    def record(thread, processors):
        placed.append((thread or threading.get_native_id(), processors))
        choose(thread, processors)

    monkeypatch.setattr(os, "sched_setaffinity", record)
    monkeypatch.setattr(helpers, "_locator", lambda: lambda: max(every))
    seen = set()

    def work(task, space):
        time.sleep(0.001)
        seen.add(threading.get_native_id())
        return 1

    for _ in range(2):
        placed.clear()
        seen.clear()
        threads.spread(range(20), work)
        helping = seen - {threading.get_native_id()}
        assert helping
        for helper in helping:
            own = [processors for thread, processors in placed if thread == helper]
            assert own[-2:] == [every - {max(every)}, every]


def test_they_help_where_no_processor_is_known_or_chosen(number, monkeypatch):
    def refuse(*arguments):
        raise OSError("not here")

    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    monkeypatch.setattr(helpers.ctypes, "PyDLL", refuse)
    helpers._locator.cache_clear()
    try:
        assert helpers._locator()() == -1
        seen = set()

        def work(task, space):
            time.sleep(0.001)
            seen.add(threading.get_ident())
            return 1

        threads.spread(range(20), work)
        assert len(seen) > 1
    finally:
        helpers._locator.cache_clear()
