"""Chunks over threads, with BLAS held to one thread each.

The main thread wakes now and then while it waits, for only it can act on Ctrl-C, and where the
signal reaches another thread, or on Windows, nothing else wakes it.

The limit on BLAS is a property of the process, so one reference-counted guard serves all
concurrent calls: the first in sets it, the last out restores it.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from threading import Event, Lock
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
    """Work through tasks, several at a time.

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
    stop, lock = Event(), Lock()
    waiting = iter(tasks)
    finished = 0

    def consume() -> None:
        nonlocal finished
        space = Workspace()
        while not stop.is_set():
            with lock:
                task = next(waiting, _END)
            if task is _END:
                return
            try:
                number = work(task, space)
                if report is not None:
                    with lock:
                        finished += number
                        report(finished, total)
            except BaseException:
                stop.set()
                raise

    workers = min(threads(), len(tasks))
    with _one_blas_thread():
        if workers <= 1:
            consume()
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="gpuols") as pool:
            try:
                pending = {pool.submit(consume) for _ in range(workers)}
                while pending:
                    done, pending = wait(pending, timeout=_PATIENCE)
                    for future in done:
                        future.result()
            finally:
                stop.set()


_END: Any = object()


class _BlasGuard:
    def __init__(self) -> None:
        self.lock = Lock()
        self.users = 0
        self.limiter: Any = None


_GUARD = _BlasGuard()


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    with _GUARD.lock:
        if _GUARD.users == 0:
            _GUARD.limiter = _controller().limit(limits=1, user_api="blas")
        _GUARD.users += 1
    try:
        yield
    finally:
        with _GUARD.lock:
            _GUARD.users -= 1
            if _GUARD.users == 0:
                _GUARD.limiter.restore_original_limits()


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
