"""Chunks over threads, with BLAS held to one thread each.

Who calls works, too, and helpers beside: threads that stay, for to start and to end them takes
half a millisecond where the caches hold other things. While it waits for them the main thread wakes
now and then, for only it can act on Ctrl-C, and where the signal reaches another thread, or on
Windows, nothing else wakes it.

The limit on BLAS is a property of the process, so one reference-counted guard serves all
concurrent calls: the first in sets it, the last out restores it. A process forked meanwhile has
the limit but not the threads that hold it: its next call takes the limit over and restores it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from gpuols.engines.workspace import Workspace
from gpuols.options import threads

Task = TypeVar("Task")

_PATIENCE = 0.1


def run(
    tasks: Sequence[Task],
    work: Callable[[Task, Workspace], int],
    report: Callable[[int, int], object] | None = None,
    total: int = 0,
) -> None:
    """Work through tasks, several at a time, BLAS held to one thread.

    Parameters
    ----------
    tasks : sequence
        Independent tasks, started in order.
    work : callable
        Does one task with a thread's own workspace; returns how many regressions that was.
    report : callable, optional
        Called with (done, total) after each task, one call at a time.
    total : int
        Regressions in all, for `report`.

    Raises
    ------
    Exception
        The first that a task or `report` raised; tasks not yet started are dropped.
    """
    with _one_blas_thread():
        spread(tasks, work, report, total)


def spread(
    tasks: Sequence[Task],
    work: Callable[[Task, Workspace], int],
    report: Callable[[int, int], object] | None = None,
    total: int = 0,
) -> None:
    """Work through tasks as `run` does, where no task calls BLAS."""
    lock, waiting = Lock(), iter(tasks)
    finished, stopped = 0, False
    failures: list[BaseException] = []

    def consume() -> None:
        nonlocal finished, stopped
        space = Workspace()
        try:
            while not stopped:
                with lock:
                    task = next(waiting, _END)
                if task is _END:
                    return
                number = work(task, space)
                if report is not None:
                    with lock:
                        finished += number
                        report(finished, total)
        except BaseException as error:
            stopped = True
            failures.append(error)

    hired: list[Future[None]] = []
    try:
        if len(tasks) > 1:
            _hire(consume, len(tasks) - 1, hired)
        consume()
    finally:
        stopped = True
        _await(hired)
    try:
        if failures:
            raise failures[0]
    finally:
        failures.clear()  # the frames of an error would keep it, and it keeps them


_END: Any = object()


def _await(hired: Sequence[Future[None]]) -> None:
    """Wait until no helper works; who has not begun need not."""
    pending = {future for future in hired if not future.cancel()}
    while pending:
        _, pending = wait(pending, timeout=_PATIENCE)


def _hire(work: Callable[[], None], most: int, hired: list[Future[None]]) -> None:
    """Have helpers do work, as many as there are, but so many at most."""
    number = threads() - 1
    with suppress(RuntimeError):  # no thread can start: at exit, or where there are too many
        for _ in range(min(number, most)):
            hired += [_crew(number).submit(work)]


@cache
def _crew(number: int) -> ThreadPoolExecutor:
    """So many helpers of all calls; who calls while none is idle works alone."""
    return ThreadPoolExecutor(number, thread_name_prefix="gpuols")


class _BlasGuard:
    """How many calls hold BLAS to one thread, and how many it had before."""

    def __init__(self, original: Sequence[int | None] = ()) -> None:
        self.lock = Lock()
        self.users = 0
        self.original = original  # empty while BLAS has as many as it had


_guard = _BlasGuard()


def _begin_anew() -> None:
    """In a child, which has no helpers, and maybe a limit that nobody there holds."""
    global _guard
    _guard = _BlasGuard(_guard.original)
    _crew.cache_clear()


if hasattr(os, "register_at_fork"):
    # Nobody is forked in the middle of setting a limit: BLAS and threadpoolctl have locks of their
    # own there, which a child would find taken.
    os.register_at_fork(
        before=lambda: _guard.lock.acquire(),
        after_in_parent=lambda: _guard.lock.release(),
        after_in_child=_begin_anew,
    )


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    guard, libraries = _guard, _blas()
    with guard.lock:
        if guard.users == 0:
            found = [library.num_threads for library in libraries]
            guard.original = guard.original or found
            _set_blas_threads([1] * len(found))
        guard.users += 1
    try:
        yield
    finally:
        with guard.lock:
            guard.users -= 1
            if guard.users == 0:
                _set_blas_threads(guard.original)
                guard.original = ()


def _set_blas_threads(numbers: Sequence[int | None]) -> None:
    """Set how many threads each BLAS library has.

    threadpoolctl 3.8 does nothing, silently, in any thread but the first that set a number; here
    the first call in and the last one out are often of different threads.
    """
    for library, number in zip(_blas(), numbers, strict=True):
        release = getattr(library, "clear_controlling_thread", lambda **options: None)
        release(force=True)
        library.set_num_threads(number)
        release(force=True)


@cache
def _blas() -> Sequence[Any]:
    found: Sequence[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found
