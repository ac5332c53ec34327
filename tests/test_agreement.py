"""Agreement of engines: what is told apart, and what is left to rounding."""

from types import SimpleNamespace

import agreement
import numpy as np
import pytest

import gpuols
from gpuols import Status

NAMES = *agreement.OF_COEFFICIENTS, *agreement.OF_RESIDUALS, *agreement.OF_ROWS
FINE, BROKEN, TOO_FEW = range(3)


def said(where=FINE, **changes):
    """What is said of three regressions, with changes; one not finite, one of too few rows."""
    X, y = np.random.default_rng(0).normal(size=(2, 3, 20, 4))
    y[BROKEN, 5] = np.nan
    weights = np.ones((3, 20))
    weights[TOO_FEW, 3:] = 0.0
    result = gpuols.fit(X, y[..., 0], weights=weights, device="cpu:numpy")
    assert result.status.tolist() == [Status.OK, Status.NONFINITE, Status.TOO_FEW_ROWS]
    numbers = {name: np.array(getattr(result, name)) for name in (*NAMES, "status", "rank")}
    for name, value in changes.items():
        numbers[name][where] = value
    return SimpleNamespace(**numbers, error_bound=result.error_bound, single=True)


def complaints(found):
    return {line.split(":")[0] for line in agreement.disagreements(found, said())}


@pytest.mark.parametrize("where", [FINE, BROKEN, TOO_FEW])
def test_ranks_and_degrees_of_freedom_that_are_known_are_compared(where):
    assert complaints(said()) == set()
    assert complaints(said(where, rank=2)) == {"rank"}
    assert complaints(said(where, df_resid=2.0)) == {"df_resid"}


def test_a_rank_that_one_alone_knows_is_left_to_rounding_where_nothing_else_is_said():
    assert complaints(said(BROKEN, rank=-1, df_resid=np.nan)) == set()
    assert complaints(said(BROKEN, nobs=19.0)) == {"nobs"}
    for where in (FINE, TOO_FEW):
        assert complaints(said(where, rank=-1, df_resid=np.nan)) == {"rank", "df_resid"}
