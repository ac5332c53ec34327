"""Libraries of data frames, on a long table that is made outside the time."""

from typing import Any

import numpy as np

from benchmarks.cpu.answers import Answers
from benchmarks.cpu.data import Batch, Data, Groups


def pandas_take(data: Groups) -> tuple[Any, list[str]]:
    """A pandas frame of the design, y and the keys, and the names of the design's columns."""
    import pandas as pd

    columns = _names(data.design.shape[1])
    frame = pd.DataFrame(data.design, columns=columns)
    return frame.assign(y=data.y, key=data.keys), columns


def pandas_groupby(frame: Any, columns: list[str]) -> Answers:
    """A function for each group, which calls NumPy's least squares."""
    import pandas as pd

    def fit(rows: Any) -> Any:
        return pd.Series(np.linalg.lstsq(rows[columns].to_numpy(), rows["y"].to_numpy())[0])

    found = frame.groupby("key")[[*columns, "y"]].apply(fit)
    return {"keys": found.index.to_numpy(), "params": found.to_numpy()}


def polars_take(data: Data) -> tuple[Any, list[str]]:
    """A polars frame of the design, y and the keys, and the names of the design's columns.

    Raises
    ------
    ValueError
        If a regression has several responses, which an aggregation takes one at a time.
    """
    import polars as pl

    design, y = data.design, data.y
    if isinstance(data, Batch):
        if y.ndim > 2:
            raise ValueError("an aggregation takes one response at a time")
        keys = np.repeat(np.arange(data.count), y.shape[1])
        design, y = design.reshape(-1, design.shape[2]), y.reshape(-1)
    else:
        keys = data.keys
    columns = _names(design.shape[1])
    values = dict(zip(columns, design.T, strict=True))
    return pl.DataFrame({"key": keys, **values, "y": y}), columns


def polars_ols(frame: Any, columns: list[str]) -> Answers:
    """polars-ols' coefficients in an aggregation."""
    import polars as pl
    import polars_ols  # noqa: F401  (registers the namespace)

    features = [pl.col(name) for name in columns]
    fit = pl.col("y").least_squares.ols(*features, mode="coefficients")
    found = frame.group_by("key").agg(fit.alias("params")).sort("key")
    params = found["params"]
    if params.dtype == pl.List:
        params = params.list.first()
    return {"keys": found["key"].to_numpy(), "params": params.struct.unnest().to_numpy()}


def polars_ds(frame: Any, columns: list[str]) -> Answers:
    """polars_ds' coefficients in an aggregation, by the fastest of its solvers."""
    import polars_ds as pds

    fit = pds.lin_reg(*columns, target="y", solver="cholesky")
    found = frame.group_by("key").agg(fit.alias("params")).sort("key")
    params = found["params"].explode().to_numpy().reshape(len(found), -1)
    return {"keys": found["key"].to_numpy(), "params": params}


def _names(p: int) -> list[str]:
    return [f"x{j}" for j in range(p)]
