"""Matrix: the numbers that a model makes of a table.

A formula is formulaic's business: its transforms, levels and contrasts. It is evaluated once on
the whole table, so that they are the same for all groups. Columns that a formula names as they are
go around it, without a copy.

Rows of which a regressor is missing stay, all NaN: whether they leave a regression is up to the
fit. Transforms and levels are those of the other rows.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.columnar import Columnar
from gpuols.errors import InputError, InputTypeError
from gpuols.extras import needed
from gpuols.formula import Model, names_in
from gpuols.selection import ranges
from gpuols.table import CATEGORIES, NUMBERS, STRINGS, Table

Array = NDArray[Any]
Flags = NDArray[np.bool_]

_MOST_LEVELS = 1000
_PIECE = 1 << 16
_PLAIN = re.compile(r"C\(\s*(\w+|`[^`]+`)\s*(,[^`]*)?\)")  # levels of one column


@dataclass(frozen=True)
class Data:
    """What a model makes of a table of N rows.

    Attributes
    ----------
    x : (N, k)
        Regressors, float32 where all their columns are so, else float64; a `Columnar` of columns
        that are taken as they are.
    y : (N,), or (N, m) where there are several
        Responses.
    terms : tuple of str
        Names of the regressors.
    incomplete : (N,) of bool
        Rows of which a regressor, or every response, is missing.
    """

    x: Array | Columnar
    y: Array
    terms: tuple[str, ...]
    incomplete: Flags


def evaluate(model: Model, table: Table, others: Sequence[str] = ()) -> Data:
    """Make the regressors and the responses of a table.

    Parameters
    ----------
    model : Model
        What is asked for.
    table : Table
        At least the columns that the model is made of.
    others : sequence of str
        Columns without which a row is of no use, either.

    Returns
    -------
    Data
        Of all rows.

    Raises
    ------
    InputError
        If a category has too many levels, or a term can't be evaluated.
    InputTypeError
        If a column does not hold what is asked of it.
    """
    used = (*model.variables, *model.sources)
    plain = model.plain and all(table.kind(name) == NUMBERS for name in used)
    if model.parts is None or plain:
        x, responses = _gather(model.regressors, table), _gather(model.responses, table)
        lost = _incomplete(x.columns, responses.columns, table.rows)
        y = responses.columns[0] if len(responses.columns) == 1 else responses[:]
        return Data(x, y, model.regressors, lost)
    z, y, terms = _materialize(model, model.parts(), table, others)
    lost = _incomplete(list(z.T), list(y.T), table.rows)
    return Data(z, y if y.shape[1] > 1 else y[:, 0], terms, lost)


def _gather(names: Sequence[str], table: Table) -> Columnar:
    """Columns of a table side by side."""
    columns = [table.numbers("formula", name) for name in names]
    dtype = np.result_type(np.float32, *(column.dtype for column in columns))
    return Columnar(columns, table.rows, dtype)


def _incomplete(regressors: Sequence[Array], responses: Sequence[Array], rows: int) -> Flags:
    """Rows of which a regressor, or every response, is missing."""
    found = np.ones(rows, bool)
    for some in ranges(rows, _PIECE):
        for column in responses:
            found[some] &= np.isnan(column[some])
        for column in regressors:
            found[some] |= np.isnan(column[some])
    return found


def _materialize(
    model: Model, parts: Any, table: Table, others: Sequence[str]
) -> tuple[Array, Array, tuple[str, ...]]:
    """Regressors, responses and the regressors' names, by formulaic."""
    factors = [factor for term in (*parts.lhs, *parts.rhs) for factor in term.factors]
    for factor in factors:
        if _is_column(factor, model):
            table.check_numbers("formula", str(factor.expr), (STRINGS, CATEGORIES))
    complete = ~table.missing(*model.variables, *others)
    if model.sources:
        complete &= ~reduce(np.logical_and, map(table.missing, model.sources))
    own = table.filter(complete)
    levels = {name for factor in factors for name in _names(factor, model) if _is_level(factor)}
    columns = dict.fromkeys((*model.variables, *model.sources))
    data = needed("pandas", "frame").DataFrame(
        {name: own.pandas(name, name in levels) for name in columns}
    )
    for term in parts.rhs:
        _check_levels(term, model, own, data)
    found = _evaluate(parts, data, "numpy")
    _check_responses(model, found.lhs)
    names = tuple(found.rhs.model_spec.column_names)
    for side, labels in ((found.rhs, names), (found.lhs, model.responses)):
        _check_numbers(side, labels, len(data))
    first = int(model.intercept)
    return _spread(found.rhs[:, first:], complete), _spread(found.lhs, complete), names[first:]


def _evaluate(formula: Any, data: Any, output: str) -> Any:
    """Matrices of formulaic; its errors, and those of what it calls, as ours."""
    formulaic = needed("formulaic", "frame")
    try:
        with np.errstate(all="ignore"):
            return formulaic.model_matrix(
                formula, data, context=None, na_action="ignore", output=output
            )
    except Exception as error:
        told = re.sub(r"\s+", " ", str(error))
        functions = needed("formulaic.transforms", "frame").TRANSFORMS
        hiding = [repr(name) for name in data.columns if name in functions]
        remedy = f"rename {' and '.join(hiding)}, which hides a function" if hiding else ""
        raise InputError(
            "formula",
            f"a term that can't be evaluated ({told})",
            "numbers",
            remedy or "look at its columns",
        ) from error


def _check_numbers(side: Array, names: Sequence[str], rows: int) -> None:
    """Refuse what formulaic made of a formula where it is no numbers, one row each."""
    if len(side) != rows:
        raise InputError(
            "formula", f"a term of {len(side):,} rows", f"{rows:,}, as the others", "look at it"
        )
    if side.dtype.kind == "c":
        raise InputTypeError(
            "formula", "a term of complex numbers", "real ones", "take its real or imaginary part"
        )
    for name, column in zip(names, side.T, strict=True):
        if rows and np.isnan(column).all():
            raise InputError(
                "formula",
                f"{name!r}, which is missing in every row",
                "numbers",
                "look for infinities, or for values out of its range, in its columns",
            )


def _spread(part: Array, complete: Flags) -> Array:
    """Rows in their places, NaN between them."""
    if complete.all():
        return np.ascontiguousarray(part, np.float64)
    found = np.full((len(complete), part.shape[1]), np.nan)
    found[complete] = part
    return found


def _is_column(factor: Any, model: Model) -> bool:
    """Whether a factor is a column by its name."""
    known = str(factor.expr) in (*model.variables, *model.sources)
    return factor.eval_method.value == "lookup" and known


def _is_level(factor: Any) -> bool:
    return str(factor.expr)[:2] == "C("


def _names(factor: Any, model: Model) -> list[str]:
    """Columns that a factor is made of."""
    if _is_column(factor, model):
        return [str(factor.expr)]
    return [name for name in names_in(str(factor.expr)) if name in model.variables]


def _check_levels(term: Any, model: Model, table: Table, data: Any) -> None:
    """Refuse a term that would make too many columns."""
    factors = [factor for factor in term.factors if factor.eval_method.value != "literal"]
    levels = math.prod(_levels(factor, model, table, data) for factor in factors)
    if levels > _MOST_LEVELS:
        names = [name for factor in factors for name in _names(factor, model)]
        by = repr(names[0]) if len(names) == 1 else names
        raise InputError(
            "formula",
            f"{str(term)!r}, a category of {levels:,} levels",
            f"at most {_MOST_LEVELS:,}",
            f"fit one regression for each with by={by}, or join levels",
        )


def _levels(factor: Any, model: Model, table: Table, data: Any) -> int:
    """Columns that a factor makes, at most."""
    text, names = str(factor.expr), _names(factor, model)
    categories = [name for name in names if table.kind(name) != NUMBERS]
    plain = _PLAIN.fullmatch(text)
    if plain or _is_column(factor, model):
        counted = names if plain else categories
        return math.prod(map(table.levels, counted))
    if categories or _is_level(factor):
        return int(_evaluate(f"0 + {{{text}}}", data, "sparse").shape[1])
    return 1


def _check_responses(model: Model, found: Any) -> None:
    formulaic = needed("formulaic", "frame")
    category = formulaic.parser.types.Factor.Kind.CATEGORICAL
    for name, (kind, _) in found.model_spec.encoder_state.items():
        if kind is category:
            raise InputTypeError(
                "formula", f"response {name!r} of categories", "numbers", "convert it to numbers"
            )
    if found.shape[1] != len(model.responses):
        names = ", ".join(found.model_spec.column_names)
        raise InputError(
            "formula", f"responses {names}", "one column each", "make columns of them first"
        )
