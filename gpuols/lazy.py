"""Properties computed once, when they are first asked for."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

__all__ = ["lazy"]

if TYPE_CHECKING:
    lazy = cached_property
else:

    class lazy(cached_property):  # noqa: N801 (a decorator)
        """`functools.cached_property` without a lock.

        Python 3.11's holds one lock for all instances while it computes: threads wait for one
        another, and a process that is forked meanwhile waits forever. Here two threads that ask at
        once both compute, and both get what the first to be ready found.
        """

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            """Value for an instance, kept in its dict, where it is found from then on.

            Itself it does not keep: all it holds would wait for a collection of cycles.
            """
            if instance is None:
                return self
            value = self.func(instance)
            return value if value is instance else vars(instance).setdefault(self.attrname, value)
