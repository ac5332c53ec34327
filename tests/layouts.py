"""Layouts: the same data in another order, with other strides, or spread over a batch."""

from typing import Any

import numpy as np
from case import Data


def fortran(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    return np.asfortranarray(X), np.asfortranarray(y), w


def strided(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    return np.repeat(np.repeat(X, 2, -1), 3, -2)[..., ::3, ::2], np.repeat(y, 2, -1)[..., ::2], w


def backwards(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    return X[..., ::-1, ::-1], y[..., ::-1], None if w is None else w[..., ::-1]


def batch_last(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    """The batch on the fastest axis in memory."""
    return np.moveaxis(np.moveaxis(X, 0, -1).copy(), -1, 0), np.asfortranarray(y), w


def unaligned(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    memory = np.empty(X.nbytes + 1, np.uint8)
    odd = memory[1:].view(X.dtype).reshape(X.shape)
    odd[...] = X
    return odd, y, w


def one_row_for_all(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    """One design spread over the batch by strides of zero."""
    return np.broadcast_to(X[:1], X.shape), y, w


def responses_as_rows(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    return X[None], np.ascontiguousarray(y.T), w
