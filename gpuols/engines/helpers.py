"""Helpers: threads that stay from call to call, each idle or at work for one of them.

To start a thread and to end it takes up to half a millisecond where the caches hold other things.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread

Job = Callable[[], None]
_Inbox = SimpleQueue[tuple[Job, set[int]]]


class Crew:
    """Helpers of all calls."""

    def __init__(self) -> None:
        self._lock, self._number = Lock(), 0
        self._idle: list[_Inbox] = []

    def hire(self, job: Job, wanted: int, most: int) -> None:
        """Have helpers do a job, as many as wanted: idle ones, then new ones up to `most` in all.

        They need not have begun when this returns. There are fewer, or none, while others are at
        work, and where no thread can start.
        """
        where = _processors()
        for _ in range(wanted):
            try:
                inbox: _Inbox | None = self._idle.pop()
            except IndexError:
                inbox = self._start(most, where)
            if inbox is None:
                return
            inbox.put((job, where))

    def _start(self, most: int, where: set[int]) -> _Inbox | None:
        with self._lock:
            if self._number >= most:
                return None
            inbox: _Inbox = SimpleQueue()
            thread = Thread(target=self._help, args=(inbox, where), name="gpuols", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # there are too many, or Python is about to end
                return None
            self._number += 1
            return inbox

    def _help(self, inbox: _Inbox, own: set[int]) -> None:
        while True:
            job, where = inbox.get()
            if where != own:
                own = where
                with suppress(OSError):
                    os.sched_setaffinity(0, own)
            job()
            del job
            self._idle.append(inbox)


def _processors() -> set[int]:
    """Processors that the thread that calls may use; none where the system does not say."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
