"""The stand-in for CuPy offers no name and no parameter that CuPy has not."""

import functools
import importlib
import inspect
import types

import pytest
from emulator import standin

OFFERED = standin.modules()


def parameters(value):
    """Names of a callable's parameters, from its signature or its docstring's first lines."""
    try:
        kinds = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return documented(value)
    return [p.name for p in kinds if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def documented(value):
    """The same from the docstring; nothing where it does not tell."""
    for line in (value.__doc__ or "").splitlines():
        name, found, rest = line.strip().partition("(")
        if found and name.split(".")[-1] == value.__name__:
            inside = rest.rpartition(")")[0]
            return [part.split("=")[0].split()[-1] for part in inside.split(", ") if part]
    return []


def own_attributes(kind):
    """What a class of the stand-in defines itself, special methods too."""
    ignored = {"__dict__", "__weakref__", "__module__", "__doc__", "__init__"}
    for base in kind.__mro__[:-1]:
        if base.__module__.split(".")[0] in ("emulator", "cupy", "cupy_backends"):
            for name, attribute in vars(base).items():
                if name not in ignored and (not name.startswith("_") or name.startswith("__")):
                    yield name, attribute


def faults(ours, theirs, what):
    """Every name and every parameter that ours has and theirs has not, and numbers that differ."""
    found = []
    if isinstance(ours, types.ModuleType | type):
        own = own_attributes(ours) if isinstance(ours, type) else vars(ours).items()
        for name, value in own:
            if isinstance(ours, types.ModuleType) and name.startswith("__"):
                continue
            if not hasattr(theirs, name):
                found.append(f"no {what}.{name}")
            elif not isinstance(value, types.ModuleType):
                found += faults(value, getattr(theirs, name), f"{what}.{name}")
    special = what.split(".")[-1].startswith("__")
    if isinstance(ours, types.FunctionType | type) and what != "cupy.ndarray" and not special:
        known = parameters(theirs) or (parameters(theirs.__init__) if type(theirs) is type else [])
        asked = [name for name in parameters(ours) if name != "self"]
        found += [f"no {what}({name}=)" for name in asked if known and name not in known]
    raised = isinstance(ours, type) and issubclass(ours, Exception)
    if raised and (ours.__module__, ours.__bases__) != (theirs.__module__, theirs.__bases__):
        found.append(f"{what} is {theirs.__module__}.{theirs.__name__} of {theirs.__bases__}")
    if isinstance(ours, int | str) and type(theirs) is type(ours) and theirs != ours:
        found.append(f"{what} is {theirs}, not {ours}")
    return found


@pytest.mark.parametrize("name", OFFERED)
def test_cupy_has_every_name(name):
    root = pytest.importorskip("cupy", reason="CuPy is an optional peer, not a dependency")
    try:
        if name in standin.ATTRIBUTES:
            real = functools.reduce(getattr, name.split(".")[1:], root)
        else:
            real = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} can't be imported: {error}")
    assert faults(OFFERED[name], real, name) == []


def test_names_that_are_not_there_are_found():
    class Theirs:
        def get(self, stream=None):
            """Known."""

    class Ours:
        def get(self, stream=None, late=False):
            """A parameter too many."""

        def put(self):
            """A method too many."""

    theirs, ours = types.ModuleType("m"), types.ModuleType("m")
    theirs.kind, theirs.number, ours.kind, ours.number, ours.more = Theirs, 1, Ours, 2, 3
    Ours.__module__ = "emulator"
    assert faults(ours, theirs, "m") == [
        "no m.kind.get(late=)",
        "no m.kind.put",
        "m.number is 1, not 2",
        "no m.more",
    ]
