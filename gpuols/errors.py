"""What can go wrong, in words.

Two kinds of trouble are kept apart. A mistake in the call (a shape, an option, a dtype) raises
an error that names the argument, what came, what was expected and what to do. Trouble in the
numbers of one regression is a `Status` of that regression: it is never raised for the batch and
never changes a neighbour.
"""

from enum import IntEnum


class Status(IntEnum):
    """What one regression is worth; where several apply, the highest code is reported."""

    OK = 0
    UNTRUSTED = 1
    RANK_DEFICIENT = 2
    TOO_FEW_ROWS = 3
    NONFINITE = 4

    @property
    def cause(self) -> str:
        """Why a regression has this status."""
        return _WORDS[self][0]

    @property
    def remedy(self) -> str:
        """What its owner can do about it."""
        return _WORDS[self][1]


_WORDS = {
    Status.OK: (
        "every coefficient and standard error is within tol of exact, in units of "
        "max(|coefficient|, standard error)",
        "nothing to do",
    ),
    Status.UNTRUSTED: (
        "the error bound exceeds tol, or the Gram matrix is not numerically positive definite "
        "(then the numbers are NaN)",
        'use solver="auto", look for nearly redundant columns, use add_intercept=True instead of '
        "a column of ones, or accept fewer digits with a larger tol",
    ),
    Status.RANK_DEFICIENT: (
        "some columns are, to ten digits, linear combinations of those before them or constant "
        "beside an intercept",
        'remove them, choose what they get with singular="drop" or "min_norm", or add a ridge '
        "penalty",
    ),
    Status.TOO_FEW_ROWS: (
        "there are no more rows of positive weight than independent columns, "
        "so nothing is left to estimate the error with",
        "add rows, use fewer columns or add a ridge penalty",
    ),
    Status.NONFINITE: (
        "a NaN or an infinity among the regression's rows, or, in double, an overflow in their sum",
        'leave missing values out with missing="drop", clean the rows, or rescale the columns',
    ),
}


class _ExplainedError(Exception):
    """An error that names the argument, what came, what was expected and what to do."""

    def __init__(self, argument: str, came: str, expected: str, remedy: str) -> None:
        super().__init__(argument, came, expected, remedy)
        self.argument = argument
        self.came = came
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.argument}: got {self.came}, expected {self.expected}; {self.remedy}"


class InputError(_ExplainedError, ValueError):
    """An argument has a shape or a value that can't be used."""


class InputTypeError(_ExplainedError, TypeError):
    """An argument is of a type or dtype that can't be used."""


class DeviceError(_ExplainedError, RuntimeError):
    """The device asked for can't be had; the message says why."""


class FitError(ArithmeticError):
    """Some regressions are not OK; raised by `Result.check`, and by singular="raise"."""
