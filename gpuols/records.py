"""Records: frozen dataclasses, made in half the time that dataclasses take, changed in a quarter.

Every fit makes a dozen, which for a small one is a tenth of its time.
"""

from dataclasses import MISSING, fields
from functools import wraps
from typing import Any, TypeVar

Record = TypeVar("Record")


def filled(cls: type[Record]) -> type[Record]:
    """Let a frozen dataclass fill its records at once.

    What dataclasses write for frozen ones sets field after field, past what refuses that.

    Parameters
    ----------
    cls : type
        A dataclass, all of whose fields are plain arguments.

    Returns
    -------
    type
        The same.
    """
    defaults = {field.name: field.default for field in fields(cls)}  # type: ignore[arg-type]
    taken = ", ".join(
        name if value is MISSING else f"{name}=defaults[{name!r}]"
        for name, value in defaults.items()
    )
    own = ", ".join(f"{name}={name}" for name in defaults)
    made: dict[str, Any] = {"defaults": defaults}
    check = "; self.__post_init__()" if hasattr(cls, "__post_init__") else ""
    exec(f"def fill(self, {taken}): self.__dict__.update({own}){check}", made)
    cls.__init__ = wraps(cls.__init__)(made["fill"])  # type: ignore[method-assign]
    return cls


def changed(record: Record, **values: Any) -> Record:
    """Record with other values in some fields.

    Parameters
    ----------
    record : dataclass
        Of a class without ``__post_init__``; what it keeps beside its fields is left out.
    **values
        New values by field.

    Returns
    -------
    dataclass of that class
        A new one.
    """
    new: Record = object.__new__(type(record))
    own, names = vars(record), vars(type(record))["__dataclass_fields__"]
    kept = own if len(own) == len(names) else {name: own[name] for name in names}
    vars(new).update(kept, **values)
    return new
