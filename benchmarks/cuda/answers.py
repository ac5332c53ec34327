"""Whether answers are right: against gpuols on the CPU, on a sample of the regressions."""

from typing import Any

import numpy as np

import gpuols
from benchmarks.cuda.contenders import Answers, Contender
from benchmarks.machine import on_host

TOLERANCE = 1e-9
"""Largest relative error that is called right; the cases are well conditioned."""

_SAMPLE = 64


def errors(contender: Contender, X: Any, y: Any, answers: Answers) -> dict[str, float]:
    """Largest relative error of each answer over a sample.

    Parameters
    ----------
    contender : Contender
        Who gave the answers.
    X : (B, n, k) or (1, n, k)
        The rows it was given, on the device or not.
    y : (B, n)
        The responses.
    answers : dict
        What it gave for all B.

    Returns
    -------
    dict
        By name of answer. Coefficients are relative to the largest of their regression; a NaN,
        or another status than on the CPU, is an error of at least 1.
    """
    which = np.unique(np.linspace(0, len(y) - 1, _SAMPLE).astype(int))
    own = [np.stack([on_host(a[int(i) % len(a)]) for i in which]) for a in (X, y)]
    right = gpuols.fit(*own, device="cpu:numpy", add_intercept=contender.add_intercept)
    found = {}
    for name in ("params", "bse", "ssr"):
        if name in answers:
            expected = np.asarray(getattr(right, name))
            size = np.abs(expected)
            size = size.max(axis=1, keepdims=True) if name == "params" else size
            wrong = np.abs(on_host(answers[name])[which] - expected) / size
            found[name] = float(np.max(np.nan_to_num(wrong, nan=1.0)))
    if "status" in answers:
        same = np.array_equal(on_host(answers["status"])[which], right.status)
        found["status"] = 0.0 if same else 1.0
    return found
