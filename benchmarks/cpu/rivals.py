"""Who is timed, and what each does with each kind of rows.

A library is imported only when it is given data. Unless a row says otherwise, a rival delivers the
coefficients alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gpuols
from benchmarks.cpu import frames, loops, tensors
from benchmarks.cpu.answers import Answers
from benchmarks.cpu.cases import Case
from benchmarks.cpu.data import Batch, Data, Groups, Masked, Shared, Weighted
from benchmarks.cpu.loops import at_once, one_by_one
from benchmarks.cpu.plain import STRATEGIES
from benchmarks.turns import OURS

OURS_CHOLESKY = "gpuols, cholesky"
OURS_ACCURATE = "gpuols, accurate"
LIBRARIES = ("statsmodels", "polars-ols", "polars-ds", "jaxlib", "matplotlib")
"""Whose versions are recorded beside those that `gpuols.info` says."""


def as_it_is(data: Data) -> tuple[Data]:
    """The data itself."""
    return (data,)


@dataclass(frozen=True)
class Contender:
    """Something that fits one kind of rows.

    Attributes
    ----------
    name : str
        Who.
    run : callable
        Gives answers by name from what `take` made of the data.
    take : callable
        Arguments as its library wants them, outside the time.
    ours : bool
        Whether it is gpuols.
    """

    name: str
    run: Callable[..., Answers]
    take: Callable[[Any], Sequence[Any]] = as_it_is
    ours: bool = False


def ours(device: str, case: Case) -> list[Contender]:
    """gpuols as its users call it; of batches in two other ways, too."""
    solvers = {OURS: "auto"}
    if case.kind is Batch and case.m == 1:
        solvers |= {OURS_CHOLESKY: "cholesky", OURS_ACCURATE: "accurate"}
    return [Contender(name, _fit(device, solver), ours=True) for name, solver in solvers.items()]


def _fit(device: str, solver: str) -> Callable[[Data], Answers]:
    def run(data: Data) -> Answers:
        options = {"add_intercept": True, "device": device, "solver": solver}
        if isinstance(data, Groups):
            found = gpuols.fit_groups(data.slopes, data.y, data.keys, **options)
            return {"keys": found.keys, **read(found)}
        if isinstance(data, Weighted):
            options["weights"] = data.weights
        if isinstance(data, Masked):
            options["missing"] = "drop"
        return read(gpuols.fit(data.slopes, data.y, **options))

    return run


def read(found: gpuols.Result) -> Answers:
    """All that is asked of a result."""
    return {name: getattr(found, name) for name in READ} | {"result": found}


READ = ("params", "bse", "ssr", "rsquared", "error_bound", "status")

Ways = dict[type[Data], Callable[[str], Contender]]


def _way(run: Callable[..., Answers], take: Any = as_it_is) -> Callable[[str], Contender]:
    return lambda name: Contender(name, run, take)


def _everywhere(solve: loops.Solve) -> Ways:
    kinds = (Batch, Shared, Masked, Weighted, Groups)
    return dict.fromkeys(kinds, _way(one_by_one(solve)))


def _tensors(make: Callable[[type[Data]], Any], take: Any) -> Ways:
    return {kind: _way(make(kind), take) for kind in (Batch, Shared, Masked, Weighted)}


_LONG = (Batch, Groups)

RIVALS: dict[str, Ways] = {
    "NumPy loop of lstsq": _everywhere(loops.numpy_lstsq),
    "NumPy lstsq at once": {Shared: _way(at_once(loops.numpy_lstsq))},
    **{name: {kind: _way(run) for kind, run in ways.items()} for name, ways in STRATEGIES.items()},
    "torch lstsq": _tensors(tensors.torch_lstsq, tensors.torch_take),
    "torch Gram + Cholesky": {
        **_tensors(tensors.torch_gram, tensors.torch_take),
        Groups: _way(tensors.torch_groups, tensors.torch_take),
    },
    "torch Gram, same outputs": {
        **_tensors(tensors.torch_same, tensors.torch_take),
        Groups: _way(tensors.torch_groups_same, tensors.torch_take),
    },
    "JAX vmap lstsq": _tensors(tensors.jax_lstsq, tensors.jax_take),
    "JAX vmap Gram + Cholesky": {
        **_tensors(tensors.jax_gram, tensors.jax_take),
        Groups: _way(tensors.jax_groups, tensors.jax_take),
    },
    "polars-ols": dict.fromkeys(_LONG, _way(frames.polars_ols, frames.polars_take)),
    "polars_ds": dict.fromkeys(_LONG, _way(frames.polars_ds, frames.polars_take)),
    "pandas groupby": {Groups: _way(frames.pandas_groupby, frames.pandas_take)},
    "SciPy": _everywhere(loops.scipy_lstsq) | {Shared: _way(at_once(loops.scipy_lstsq))},
    "scikit-learn": _everywhere(loops.scikit_learn) | {Shared: _way(at_once(loops.scikit_learn))},
    "statsmodels": _everywhere(loops.statsmodels),
}
"""By name, what makes the contender for each kind of rows that it can do."""


_EQUAL = "wants equally many rows in each regression"
_REPEATED = "aggregates tables that hold the design once for each response"
_WHY_NOT = {
    "NumPy lstsq at once": "wants one design for all responses",
    "torch lstsq": _EQUAL,
    "JAX vmap lstsq": _EQUAL,
    "polars-ols": _REPEATED,
    "polars_ds": _REPEATED,
    "pandas groupby": "is measured where rows come with keys",
}


def contenders(case: Case, device: str, peers: Sequence[str]) -> list[Contender]:
    """gpuols, then those of the rivals named that can do a case."""
    able = [RIVALS[name][case.kind](name) for name in peers if case.kind in RIVALS[name]]
    return [*ours(device, case), *able]


def unable(case: Case, peers: Sequence[str]) -> dict[str, str]:
    """Why the others of the rivals named can't; a strategy of plain NumPy is for its own cases."""
    others = [name for name in peers if case.kind not in RIVALS[name] and name not in STRATEGIES]
    return {name: f"not for this case: {_WHY_NOT[name]}" for name in others}
