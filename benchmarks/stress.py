"""Families of regressions by difficulty, and Householder QR on a whole batch of them."""

from collections.abc import Callable

import numpy as np

from benchmarks import families
from benchmarks.families import Array, Batch, Generator
from benchmarks.rivals import householder, with_ones

ROWS, COLUMNS = 40, 5
DIFFICULTIES = (1e2, 1e4, 1e6, 1e8, 1e10, 1e12, 1e14)

Family = Callable[[Generator, float, int], Batch]


def _family(
    design: Callable[[Generator, float, families.Shape], Array],
    add_intercept: bool,
    noise: float = 1.0,
    responses: int = 1,
    weights: str | None = None,
) -> Family:
    def make(rng: Generator, difficulty: float, count: int) -> Batch:
        X = design(rng, difficulty, (count, ROWS, COLUMNS))
        y = families.respond(rng, X, noise, responses)
        w = families.WEIGHTS[weights](rng, X.shape[:2]) if weights else None
        return Batch(X, y, add_intercept, w)

    return make


def _penalised(rng: Generator, difficulty: float, count: int) -> Batch:
    """Penalties that lift the smallest singular value to the root of the difficulty."""
    X = families.one_direction(rng, difficulty, (count, ROWS, COLUMNS))
    return Batch(X, families.respond(rng, X, 1.0), True, ridge=np.full(count, ROWS / difficulty))


FAMILIES: dict[str, Family] = {
    "condition": _family(families.condition, False),
    "one direction, close fit": _family(families.one_direction, False, 1e-6),
    "near duplicate": _family(families.near_duplicate, True),
    "far from zero": _family(families.far_from_zero, True),
    "badly scaled": _family(families.badly_scaled, True),
    "polynomial": _family(families.polynomial, True),
    "year, year²": _family(families.years, True),
    "weights": _family(families.condition, True, weights="1e±8"),
    "ridge": _penalised,
    "several responses": _family(families.condition, True, responses=3),
}


def by_qr(batch: Batch) -> Array:
    """Coefficients by QR; rows times the root of their weight, a penalty as further rows."""
    design, y = with_ones(batch.X, batch.add_intercept), batch.y
    if batch.weights is not None:
        root = np.sqrt(batch.weights)[..., None]
        design, y = root * design, root * y
    if np.any(batch.ridge):
        k = batch.X.shape[-1]
        free = np.zeros((k, design.shape[-1] - k))
        rows = np.sqrt(batch.ridge)[:, None, None] * np.concatenate([free, np.eye(k)], axis=1)
        design = np.concatenate([design, rows], axis=1)
        y = np.concatenate([y, np.zeros((len(y), k, y.shape[-1]))], axis=1)
    return householder(design, y)[0]
