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
from gpuols.columns import NUMBERS, Table
from gpuols.errors import InputError, InputTypeError
from gpuols.extras import needed
from gpuols.formula import Model, names_in
from gpuols.selection import ranges

Array = NDArray[Any]
Flags = NDArray[np.bool_]

_MOST_LEVELS = 1000
_PIECE = 1 << 16


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
    formulaic = needed("formulaic", "frame")
    _check_levels(parts.rhs, model.variables, table)
    useless = reduce(np.logical_and, map(table.missing, model.sources))
    complete = ~(useless | table.missing(*model.variables, *others))
    try:
        with np.errstate(all="ignore"):
            found = formulaic.model_matrix(
                parts,
                _frame(model, table.filter(complete)),
                context=None,
                na_action="ignore",
                output="numpy",
            )
    except (formulaic.errors.FormulaicError, ArithmeticError, TypeError, ValueError) as error:
        told = re.sub(r"\s+", " ", str(error))
        raise InputError(
            "formula", f"a term that can't be evaluated ({told})", "numbers", "look at its columns"
        ) from error
    _check_responses(model, found.lhs, formulaic)
    first = int(model.intercept)
    names = tuple(found.rhs.model_spec.column_names)[first:]
    x, y = _spread(found.rhs[:, first:], complete), _spread(found.lhs, complete)
    return x, y, names


def _spread(part: Array, complete: Flags) -> Array:
    """Rows in their places, NaN between them."""
    if complete.all():
        return np.ascontiguousarray(part, np.float64)
    found = np.full((len(complete), part.shape[1]), np.nan)
    found[complete] = part
    return found


def _frame(model: Model, table: Table) -> Any:
    """The columns of a model as formulaic knows them best."""
    pandas = needed("pandas", "frame")
    columns = dict.fromkeys((*model.variables, *model.sources))
    return pandas.DataFrame({name: table.pandas(name) for name in columns})


def _check_levels(terms: Any, variables: Sequence[str], table: Table) -> None:
    for term in terms:
        names = [name for factor in term.factors for name in _categories(factor, variables, table)]
        levels = math.prod(table.levels(name) for name in names)
        if levels > _MOST_LEVELS:
            by = repr(names[0]) if len(names) == 1 else names
            raise InputError(
                "formula",
                f"{str(term)!r}, a category of {levels:,} levels",
                f"at most {_MOST_LEVELS:,}",
                f"fit one regression for each with by={by}, or join levels",
            )


def _categories(factor: Any, variables: Sequence[str], table: Table) -> list[str]:
    """Columns whose levels a factor makes columns of."""
    text = str(factor.expr)
    if factor.eval_method.value == "lookup":
        return [text] if text in variables and table.kind(text) != NUMBERS else []
    return [name for name in names_in(text) if name in variables] if text[:2] == "C(" else []


def _check_responses(model: Model, found: Any, formulaic: Any) -> None:
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
