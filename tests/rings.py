"""Batches for rings of small buffers, and the bits of their results."""

import numpy as np

from gpuols.engines import ring, streams

NUMBERS = ("params", "bse", "ssr", "error_bound", "status", "nobs", "df_resid", "rank")


def shrink(monkeypatch, size):
    monkeypatch.setattr(ring, "SIZE", size)
    monkeypatch.setattr(ring, "_WORTH", size // 8)
    monkeypatch.setattr(streams, "LEAST", 1 << 10)
    monkeypatch.setenv("GPUOLS_NUM_THREADS", "3")


def numbers(result):
    return [getattr(result, name) for name in NUMBERS]


def assert_same_bits(found, expected):
    for name, one, other in zip(NUMBERS, numbers(found), numbers(expected), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


def batch(count=90, n=40, k=3, seed=0):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(1.0, 1.0, (count, n, k)), rng.normal(size=(count, n))
    weights = rng.uniform(0.5, 2.0, (count, n))
    X[count // 3, 2, 1], y[count // 2, 3] = np.nan, np.nan
    return X, y, weights


def stop_with(error):
    def report(done, total):
        raise error

    return report
