"""The linear regressions of NIST's Statistical Reference Datasets, with exact answers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

_FILE = Path(__file__).with_name("nist.json")


@dataclass(frozen=True)
class Dataset:
    """One regression; the answers are exact for X and y as they are here, then rounded once.

    Attributes
    ----------
    name : str
        NIST's name.
    X : (n, k)
        Regressors.
    y : (n,)
        Response.
    add_intercept : bool
        Whether there is an intercept.
    params, bse : (p,)
        Coefficients and standard errors, the intercept first.
    ssr, residual_sd, rsquared : float
        Sum of squared residuals, residual standard deviation, R².
    """

    name: str
    X: Array
    y: Array
    add_intercept: bool
    params: Array
    bse: Array
    ssr: float
    residual_sd: float
    rsquared: float


def datasets() -> Iterator[Dataset]:
    """All eleven, in NIST's order."""
    for entry in json.loads(_FILE.read_text(encoding="utf-8"))["sets"]:
        columns = [[Fraction(text) for text in column] for column in entry["x"]]
        if entry["degree"] > 1:
            # x**k in floating point would be another design: the exact power is rounded once.
            columns = [[x**k for x in columns[0]] for k in range(1, entry["degree"] + 1)]
        yield Dataset(
            name=entry["name"],
            X=np.array(columns, dtype=np.float64).T.copy(),
            y=np.array(entry["y"], dtype=np.float64),
            add_intercept=entry["add_intercept"],
            params=np.array(entry["params"], dtype=np.float64),
            bse=np.array(entry["bse"], dtype=np.float64),
            ssr=float(entry["ssr"]),
            residual_sd=float(entry["residual_sd"]),
            rsquared=float(entry["rsquared"]),
        )
