"""Columns in arrays of their own are read as the table that they make."""

import numpy as np
import pytest

import gpuols
from gpuols.columnar import Columnar

RNG = np.random.default_rng(5)
N = 400
PLAIN = [RNG.normal(size=N), RNG.normal(size=N), RNG.normal(size=N)]
MIXED = [RNG.normal(size=N), RNG.integers(0, 9, N), RNG.normal(size=N).astype(np.float32)]
APART = [RNG.normal(size=(N, 2))[:, 0], RNG.normal(size=2 * N)[::-2], RNG.random(N) < 0.5]
LISTS = pytest.mark.parametrize("columns", [PLAIN, MIXED, APART, []], ids=len)


@LISTS
def test_it_is_what_its_columns_make(columns):
    table = Columnar(columns, N, np.float64)
    whole = np.column_stack([np.empty((N, 0)), *columns])
    assert (table.shape, table.ndim, table.size, len(table)) == (whole.shape, 2, whole.size, N)
    np.testing.assert_array_equal(table[:], whole)
    np.testing.assert_array_equal(table[7:300:2], whole[7:300:2])
    for index in (np.int32([[3, 1], [399, 0]]), np.arange(5), np.int64([7]), np.empty((2, 0), int)):
        np.testing.assert_array_equal(table.take(index), whole[index])


@LISTS
@pytest.mark.parametrize("missing", ["nan", "drop"])
@pytest.mark.parametrize("solver", ["auto", "accurate"])
def test_groups_are_those_of_one_array_to_the_bit(columns, missing, solver):
    y, groups, weights = RNG.normal(size=N), RNG.integers(0, 7, N), RNG.random(N)
    y[::50] = np.nan
    whole = np.column_stack([np.empty((N, 0)), *columns])
    found, *others = (
        gpuols.fit_groups(
            x, y, groups, weights=weights, add_intercept=True, missing=missing, solver=solver
        )
        for x in (
            Columnar(columns, N, np.float64),
            whole,
            np.asfortranarray(whole),
            np.repeat(whole, 2, axis=1)[:, ::2],
        )
    )
    for other in others:
        for name in ("params", "bse", "ssr", "error_bound", "nobs", "status", "rank"):
            assert getattr(found, name).tobytes() == getattr(other, name).tobytes(), name


def test_missing_values_are_refused_where_they_are():
    columns = [column.copy() for column in PLAIN]
    columns[1][3] = np.nan
    table = Columnar(columns, N, np.float64)
    with pytest.raises(gpuols.InputError, match=r"X: got 1 missing values.*at \(3, 1\)"):
        gpuols.fit_groups(table, columns[0], np.arange(N) % 3, missing="raise")
