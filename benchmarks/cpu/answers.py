"""Whether answers are right: against a QR decomposition of a sample of the regressions."""

from typing import Any

import numpy as np

from benchmarks.cpu.data import Array, Data, Groups
from benchmarks.rivals import householder
from gpuols import Status

Answers = dict[str, Any]
"""By name: params L+(p,) or (p, B), bse alike, ssr and rsquared (B,); keys (B,) of groups."""

TOLERANCE = 1e-9
"""Largest relative error that is called right; the cases are well conditioned."""
WHOLE = ("params", "bse", "ssr", "rsquared")
"""What everybody may deliver; gpuols gives a bound and a status beside it."""

_SAMPLE = 40


def errors(data: Data, answers: Answers) -> dict[str, float]:
    """Largest relative error of each answer over a sample.

    Parameters
    ----------
    data : Data
        The rows that it was given.
    answers : dict
        What it gave for all of them.

    Returns
    -------
    dict
        By name of answer. Coefficients and standard errors are relative to the largest of their
        regression; a NaN, or a status other than OK, is an error of at least 1.
    """
    which = np.unique(np.linspace(0, data.count - 1, _SAMPLE).astype(int))
    places = _places(data, answers)[which]
    right = [reference(*data.one(int(index))) for index in which]
    found = {}
    for name in WHOLE:
        if name not in answers:
            continue
        values = np.moveaxis(np.asarray(answers[name]), data.axis, 0)
        if len(values) != data.count:
            found[name] = 1.0
            continue
        pairs = zip(values[places], (one[name] for one in right), strict=True)
        found[name] = max(_relative(value, expected) for value, expected in pairs)
    if "status" in answers:
        found["status"] = float(np.any(np.asarray(answers["status"]) != Status.OK))
    return found


def _places(data: Data, answers: Answers) -> np.ndarray:
    """Where the answers of each regression stand (B,), in the order of the data."""
    if isinstance(data, Groups) and "keys" in answers:
        return np.argsort(np.asarray(answers["keys"]))
    return np.arange(data.count)


def _relative(found: Any, expected: Array) -> float:
    if np.shape(found) != expected.shape:
        return 1.0
    wrong = np.abs(found - expected) / np.abs(expected).max(axis=0)
    return float(np.max(np.nan_to_num(wrong, nan=1.0)))


def reference(design: Array, y: Array, weights: Array | None) -> dict[str, Array]:
    """Answers of one regression by a QR decomposition; its sums from residuals.

    Parameters
    ----------
    design : (n, p)
        Its column of ones first.
    y : (n,) or (n, m)
        Responses.
    weights : (n,), optional
        Weights; 1 without.

    Returns
    -------
    dict
        params and bse (p,) or (p, m); ssr and rsquared () or (m,).
    """
    w = np.ones(len(y)) if weights is None else weights
    Y, root = y.reshape(len(y), -1), np.sqrt(w)[:, None]
    params, bse = householder(design * root, Y * root)
    ssr = w @ (Y - design @ params) ** 2
    total = w @ (Y - w @ Y / w.sum()) ** 2
    found = {"params": params, "bse": bse, "ssr": ssr, "rsquared": 1 - ssr / total}
    return {name: a if y.ndim == 2 else a[..., 0] for name, a in found.items()}
