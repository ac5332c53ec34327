"""Formula: which columns of a frame are fitted on which, in Wilkinson's notation or by name.

The grammar is formulaic's. What can be told from the names alone is told here, before any data
is read.
"""

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gpuols.columns import Columns, near
from gpuols.errors import InputError, InputTypeError
from gpuols.extras import needed

_INTERCEPT = "Intercept"

_CONSTANTS = {"0": False, "1": True}
_QUOTED = re.compile("`([^`]*)`")
_HOW = 'write for example "y ~ x1 + C(city)"'


@dataclass(frozen=True)
class Model:
    """What is fitted on what.

    Attributes
    ----------
    responses, regressors : tuple of str
        Names of columns, or of what a formula makes of them; without the intercept.
    variables : tuple of str
        The columns that the regressors are made of.
    sources : tuple of str
        The columns that the responses are made of.
    intercept : bool
        Whether there is one.
    plain : bool
        Whether they are the columns of these names, if those hold numbers.
    parts : callable or None
        Gives formulaic's Formula, where there is a formula.
    """

    responses: tuple[str, ...]
    regressors: tuple[str, ...]
    variables: tuple[str, ...]
    sources: tuple[str, ...]
    intercept: bool
    plain: bool = True
    parts: Callable[[], Any] | None = None


def read(formula: Any, columns: Columns, intercept: bool, others: Sequence[str]) -> Model:
    """Understand a formula.

    Parameters
    ----------
    formula : str or pair
        A Wilkinson formula, or the names of responses and of regressors, one or several each.
    columns : Columns
        The frame.
    intercept : bool
        Whether there is one unless a formula says otherwise.
    others : sequence of str
        Columns that "." does not stand for.

    Returns
    -------
    Model
        Of columns that are there.

    Raises
    ------
    InputError
        If it can't be understood, or names what is not there.
    InputTypeError
        If it is neither.
    """
    if isinstance(formula, str):
        model = _add_up(formula, columns, intercept) or _parse(formula, columns, intercept, others)
    elif isinstance(formula, (tuple, list)) and len(formula) == 2:
        responses, regressors = map(_names, formula)
        model = Model(responses, regressors, regressors, responses, intercept)
        columns.check("formula", [*responses, *regressors])
    else:
        raise InputTypeError(
            "formula",
            repr(formula),
            "a string, or a pair of names of responses and of regressors",
            f'{_HOW}, or ("y", ["x1", "x2"])',
        )
    if not model.responses:
        raise InputError("formula", "no response", "one or several", _HOW)
    for name in model.responses:
        if name in model.regressors:
            raise InputError(
                "formula",
                f"{name!r} as response and as regressor",
                "it on one side only",
                "take it out of the regressors",
            )
    if model.intercept and _INTERCEPT in model.regressors:
        raise InputError(
            "formula",
            f"a column named {_INTERCEPT!r} beside an intercept",
            "one of the two",
            'rename the column, or write "- 1" in the formula',
        )
    return model


def _names(given: Any) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) or not isinstance(given, Sequence) else tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise InputTypeError("formula", f"{name!r} among the names", "strings", _HOW)
        if names.count(name) > 1:
            raise InputError("formula", f"{name!r} twice", "each name once", "leave one out")
    return names


def _add_up(formula: str, columns: Columns, intercept: bool) -> Model | None:
    """Model of a formula that only adds columns up: formulaic is a slow import."""
    left, tilde, right = formula.partition("~")
    right, minus, one = right.partition("-")
    responses, terms = ([name.strip() for name in side.split("+")] for side in (left, right))
    regressors = [name for name in terms if name not in _CONSTANTS]
    names = [*responses, *regressors]
    if (
        not tilde
        or (minus and one.strip() != "1")
        or len(terms) > len(regressors) + 1
        or not all(name.isidentifier() and name in columns.names for name in names)
        or len(set(names)) < len(names)
    ):
        return None
    said = [_CONSTANTS[name] for name in terms if name in _CONSTANTS] + [False] * bool(minus)
    return Model(
        responses=tuple(responses),
        regressors=tuple(regressors),
        variables=tuple(regressors),
        sources=tuple(responses),
        intercept=said[-1] if said else intercept,
        parts=partial(_formula, formula, intercept, columns.names),
    )


def _formula(formula: str, intercept: bool, known: Sequence[str]) -> Any:
    """Formula as formulaic reads it."""
    formulaic = needed("formulaic", "frame")
    parser = needed("formulaic.parser", "frame").DefaultFormulaParser(include_intercept=intercept)
    try:
        return formulaic.Formula(
            formula, _parser=parser, _context={"__formulaic_variables_available__": known}
        )
    except Exception as error:  # formulaic lets through what it meets
        told = re.sub(r"\x1b\[[\d;]*m", "", str(error)).partition("\n")[0]
        raise InputError("formula", f"{formula!r} ({told})", "a formula", _HOW) from error


def _parse(formula: str, columns: Columns, intercept: bool, others: Sequence[str]) -> Model:
    formulaic = needed("formulaic", "frame")
    for name in _QUOTED.findall(formula):
        if name.strip().lstrip("-").replace(".", "", 1).isdecimal():
            raise InputError(
                "formula",
                f"`{name}`, which is a number in formulas",
                "a name",
                f'rename the column, or give names, as ("y", [{name!r}])',
            )
    parts = _formula(formula, intercept, [n for n in columns.names if n not in others])
    if not hasattr(parts, "lhs"):
        raise InputError("formula", f"{formula!r} without a response", "responses ~ terms", _HOW)
    if not all(isinstance(side, formulaic.SimpleFormula) for side in (parts.lhs, parts.rhs)):
        raise InputError(
            "formula", f"{formula!r}, of several parts", "responses ~ terms", 'use by= for "|"'
        )
    constant = [term for term in parts.rhs if _is_of(term, "literal")]
    regressors = [term for term in parts.rhs if term not in constant]
    if any(_is_of(term, "literal") for term in parts.lhs):
        raise InputError("formula", f"{formula!r}, a number as response", "columns", _HOW)
    return Model(
        responses=tuple(map(str, parts.lhs)),
        regressors=tuple(map(str, regressors)),
        variables=_variables(regressors, columns),
        sources=_variables(parts.lhs, columns),
        intercept=bool(constant),
        plain=all(
            _is_of(term, "lookup") and str(term) in columns.names
            for term in [*parts.lhs, *regressors]
        ),
        parts=lambda: parts,
    )


def _is_of(term: Any, method: str) -> bool:
    """Whether a term is one factor that is found in one way: "lookup", "literal" or "python"."""
    return [factor.eval_method.value for factor in term.factors] == [method]


def _variables(terms: Sequence[Any], columns: Columns) -> tuple[str, ...]:
    """Columns that terms are made of."""
    functions = needed("formulaic.transforms", "frame").TRANSFORMS
    found: dict[str, None] = {}
    for factor in (factor for term in terms for factor in term.factors):
        looked_up = factor.eval_method.value == "lookup" and factor.expr in columns.names
        names = {str(factor.expr): False} if looked_up else names_in(str(factor.expr))
        for name, called in names.items():
            if called and name not in functions:
                raise _unknown_function(name, functions)
            if not called and (name not in functions or name in columns.names):
                found[name] = None
    columns.check("formula", found)
    return tuple(found)


def names_in(expression: str) -> dict[str, bool]:
    """Names in a Python expression, and whether each is called; a column's may be in backticks."""
    quoted: dict[str, str] = {}

    def spell(match: re.Match[str]) -> str:
        return quoted.setdefault(match[1], f"_quoted{len(quoted)}")

    try:
        tree = ast.parse(_QUOTED.sub(spell, expression), mode="eval")
    except SyntaxError as error:
        raise InputError(
            "formula", f"{expression!r} ({error.msg})", "a term of Python", _HOW
        ) from error
    as_written = {spelt: name for name, spelt in quoted.items()}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    by_text = [
        str(value.value)
        for node in calls
        for value in node.args
        if ast.unparse(node.func) == "Q" and isinstance(value, ast.Constant)
    ]
    found = {as_written.get(name, name): name in called for name in names}
    return found | dict.fromkeys(by_text, False)


def _unknown_function(name: str, functions: Iterable[str]) -> InputError:
    meant = near(name, functions)
    remedy = f"did you mean {' or '.join(meant)}?" if meant else "make a column of it first"
    return InputError(
        "formula", f"{name!r}, which is no function", "NumPy's, as np.log, or formulaic's", remedy
    )
