"""Chunks over threads, with BLAS held to one thread each.

Who calls works, too, and helpers beside. While it waits for them the main thread wakes now and
then, for only it can act on Ctrl-C, and where the signal reaches another thread, or on Windows,
nothing else wakes it.

The limit on BLAS is a property of the process, so one reference-counted guard serves all
concurrent calls: the first in sets it, the last out restores it. A process forked meanwhile has
the limit but not the threads that hold it: its next call takes the limit over and restores it.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from threading import Lock, RLock
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from gpuols.engines.helpers import Crew
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
    user = object()
    try:
        _guard.hold(user)
        spread(tasks, work, report, total)
        _guard.release(user)
    finally:
        _guard.release(user)  # where Ctrl-C came while it did, BLAS has its threads again


def spread(
    tasks: Sequence[Task],
    work: Callable[[Task, Workspace], int],
    report: Callable[[int, int], object] | None = None,
    total: int = 0,
) -> None:
    """Work through tasks as `run` does, where no task calls BLAS."""
    if len(tasks) <= 1:  # one regression, most often: sooner
        for task in tasks:
            number = work(task, Workspace())
            if report is not None:
                report(number, total)
        return
    call, most = _Call(tasks, work, report, total), threads() - 1
    try:
        _crew.hire(call.help, min(most, len(tasks) - 1), most)
        call.consume()
        call.end()
    finally:
        call.end()  # where Ctrl-C came while it waited, nobody works on when it is raised
    call.raise_failure()


_END: Any = object()


class _Call:
    """Tasks of one call, and who works at them.

    Its lock is C's own: no Ctrl-C comes between taking it and the block, as with a `Condition`.
    """

    def __init__(self, tasks: Sequence[Any], work: Any, report: Any, total: int) -> None:
        self._lock, self._open, self._helpers = Lock(), True, 0
        self._gone: SimpleQueue[None] = SimpleQueue()
        self._waiting, self._work = iter(tasks), work
        self._report, self._finished, self._total = report, 0, total
        self._failures: list[BaseException] = []

    def help(self) -> None:
        """Do as `consume`, unless the call has ended."""
        with self._lock:
            if not self._open:
                return
            self._helpers += 1
        self.consume()
        with self._lock:
            self._helpers -= 1
        self._gone.put(None)

    def consume(self) -> None:
        """Do tasks until there are no more, or one has failed."""
        try:
            self._do_tasks(Workspace())
        except BaseException as error:
            self._open = False
            self._failures.append(error)

    def _do_tasks(self, space: Workspace) -> None:
        while self._open:
            with self._lock:
                task = next(self._waiting, _END)
            if task is _END:
                return
            number = self._work(task, space)
            if self._report is not None:
                with self._lock:
                    self._finished += number
                    self._report(self._finished, self._total)

    def end(self) -> None:
        """Wait until no helper works, then let go of the tasks: one who comes later finds none."""
        with self._lock:
            self._open = False
        while self._helpers:
            with suppress(Empty):
                self._gone.get(timeout=_PATIENCE)
        self._waiting, self._work, self._report = iter(()), None, None

    def raise_failure(self) -> None:
        """Raise what failed first; nothing here keeps it, for it keeps the frames it came by."""
        if self._failures:
            failure = self._failures[0]
            self._failures.clear()
            try:
                raise failure
            finally:
                del failure


class _BlasGuard:
    """Which calls hold BLAS to one thread, and how many it had before.

    What a signal or a finalizer runs while a thread holds or releases may do both in that thread.
    """

    def __init__(self) -> None:
        self.lock, self.limited = RLock(), False
        self.users: set[object] = set()
        self.original: Sequence[int | None] = ()  # empty while BLAS has as many as it had

    def hold(self, user: object) -> None:
        """Hold BLAS to one thread until all who do have released it."""
        libraries = _blas()
        with self.lock:
            self.users.add(user)
            if not self.limited:
                found = [library.num_threads for library in libraries]
                self.original = self.original or found
                _set_blas_threads([1] * len(found))
                self.limited = True

    def release(self, user: object) -> None:
        """Let BLAS have its threads, if nobody else holds it; as often as one likes."""
        with self.lock:
            self.users.discard(user)
            if not self.users:
                self.limited = False
                _set_blas_threads(self.original)
                self.original = ()

    def begin_anew(self) -> None:
        """Nobody holds, whatever is limited."""
        self.lock, self.limited = RLock(), False
        self.users = set()


_guard, _crew = _BlasGuard(), Crew()


def _begin_anew() -> None:
    """In a child, which has no helpers, and maybe a limit that nobody there holds."""
    global _crew
    _guard.begin_anew()
    _crew = Crew()


if hasattr(os, "register_at_fork"):
    # Nobody is forked while another thread sets a limit: BLAS and threadpoolctl have locks of their
    # own there, which a child would find taken.
    os.register_at_fork(
        before=lambda: _guard.lock.acquire(),
        after_in_parent=lambda: _guard.lock.release(),
        after_in_child=_begin_anew,
    )


def _set_blas_threads(numbers: Sequence[int | None]) -> None:
    """Set how many threads each BLAS library has, or nothing where there are no numbers.

    threadpoolctl 3.8 does nothing, silently, in any thread but the first that set a number; here
    the first call in and the last one out are often of different threads.
    """
    for library, number in zip(_blas() if numbers else (), numbers, strict=True):
        release = getattr(library, "clear_controlling_thread", lambda **options: None)
        release(force=True)
        library.set_num_threads(number)
        release(force=True)


@cache
def _blas() -> Sequence[Any]:
    found: Sequence[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found
