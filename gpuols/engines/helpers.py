"""Helpers: threads that stay from call to call, each idle or at work for one of them.

To start a thread and to end it takes up to half a millisecond where the caches hold other things.
A helper begins on another processor than who calls: a system that wakes it beside may leave the
two to take turns for milliseconds, though another processor is idle. Then it may move.

Ctrl-C may come after any call, and where a function written in Python begins. No helper is lost to
it: between what is seen and what is done about it there is neither, and the locks are C's own.
"""

import ctypes
import os
from _thread import start_new_thread  # one call: on its way to a start a `Thread` may be lost
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from threading import RLock, get_native_id
from typing import NamedTuple

Job = Callable[[], None]
_Order = tuple[Job, set[int]]
"""A job, and the processors that it may run on."""

_Inbox = SimpleQueue[_Order]

_MYSELF = 0  # the thread that calls, to the system


class _Helper(NamedTuple):
    """A thread, as the system numbers it, and where it finds what to do."""

    inbox: _Inbox
    thread: int


class Crew:
    """Helpers of all calls."""

    def __init__(self) -> None:
        # What a signal or a finalizer runs meanwhile, in the same thread, may hire helpers, too.
        self._lock, self._number = RLock(), 0
        self._idle: list[_Helper] = []

    def hire(self, job: Job, wanted: int, most: int) -> None:
        """Have helpers do a job, as many as wanted: idle ones, then new ones up to `most` in all.

        They need not have begun when this returns. There are fewer, or none, while others are at
        work, and where no thread can start.
        """
        where = _processors()
        order, others = (job, where), where - {_locator()()}
        for _ in range(wanted):
            with self._lock:
                if not (self._wake(order, others) or self._start(order, others, most)):
                    return

    def _wake(self, order: _Order, others: set[int]) -> bool:
        """Have an idle helper, if there is one, begin with a job; whether it does."""
        if not self._idle:
            return False
        helper = self._idle[-1]
        del self._idle[-1]
        try:
            _place(helper.thread, others)
        finally:
            helper.inbox.put(order)
        return True

    def _start(self, order: _Order, others: set[int], most: int) -> bool:
        """Have another helper, if there may be one more, begin with a job; whether it does."""
        inbox: _Inbox = SimpleQueue()
        inbox.put(order)
        own = inbox, others
        if self._number >= most:
            return False
        self._number += 1
        try:
            start_new_thread(self._help, own)
        except RuntimeError:  # there are too many, or Python is about to end
            self._number -= 1
            return False
        return True

    def _help(self, inbox: _Inbox, others: set[int]) -> None:
        own = _Helper(inbox, get_native_id())
        _place(_MYSELF, others)
        while True:
            job, where = inbox.get()
            _place(_MYSELF, where)
            job()
            del job
            with self._lock:
                self._idle.append(own)


def _processors() -> set[int]:
    """Processors that the thread that calls may use; none where the system does not say."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


@cache
def _locator() -> Callable[[], int]:
    """What gives the processor that the thread that calls is on; -1 where the system does not."""
    try:
        found: Callable[[], int] = ctypes.PyDLL(None).sched_getcpu
    except (AttributeError, OSError, TypeError):
        return lambda: -1
    return found


def _place(thread: int | None, processors: set[int]) -> None:
    """Have a thread run on such processors alone, if there are any and they can be chosen."""
    if processors and thread is not None:
        with suppress(OSError):
            os.sched_setaffinity(thread, processors)
