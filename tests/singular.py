"""Designs whose rank is known from how they are made: many of each kind, and famous ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Rng = np.random.Generator


class Designs(NamedTuple):
    """Many designs of one rank: X (B, n, k), weights (B, n) or None, rank with the intercept.

    Not sharp are those of which double-double can't tell the rank: they may be UNTRUSTED.
    """

    X: np.ndarray
    weights: np.ndarray | None
    add_intercept: bool
    rank: int
    sharp: bool


@dataclass(frozen=True, eq=False)
class Kind:
    """A way of being singular.

    Attributes
    ----------
    name : str
        What it is.
    make : callable
        From a generator and normal numbers (B, n, 8) to X (B, n, k), or X and weights (B, n).
    rank : int
        Of the columns of X alone.
    intercept : int
        What an intercept adds to the rank, 0 or 1; fitted with one, and, where it adds 1,
        without one too.
    sharp : bool
        Whether double-double can tell the rank without an intercept, too.
    """

    name: str
    make: Callable[[Rng, np.ndarray], np.ndarray | tuple[np.ndarray, np.ndarray]]
    rank: int
    intercept: int = 1
    sharp: bool = True

    def designs(self, seed: int, count: int, n: int = 40) -> Iterator[Designs]:
        """`count` designs, with an intercept and, where they are singular so, without."""
        rng = np.random.default_rng([seed, *self.name.encode()])
        ways = (True, False) if self.intercept else (True,)
        for add_intercept in ways:
            made = self.make(rng, rng.normal(size=(count // len(ways), n, 8)))
            X, weights = made if isinstance(made, tuple) else (made, None)
            rank = self.rank + self.intercept * add_intercept
            yield Designs(X, weights, add_intercept, rank, self.sharp or add_intercept)


def _stack(*columns: np.ndarray) -> np.ndarray:
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def _columns(z: np.ndarray, *which: int) -> tuple[np.ndarray, ...]:
    return tuple(z[..., i] for i in which)


def _units(rng: Rng, z: np.ndarray) -> np.ndarray:
    """Columns in units of their own, the last twice the first."""
    size = 10.0 ** rng.integers(-8, 9, (len(z), 1, 4))
    X = z[..., :4] * size
    X[..., 3] = 2.0 * X[..., 0]
    return X


def _dummies(rng: Rng, z: np.ndarray, levels: int) -> np.ndarray:
    level = rng.integers(0, levels, z.shape[:2])
    level[:, :levels] = np.arange(levels)
    return (level[..., None] == np.arange(levels)).astype(float)


def _shares(rng: Rng, z: np.ndarray) -> np.ndarray:
    parts = rng.gamma(1.0, size=(*z.shape[:2], 4))
    return parts / parts.sum(axis=-1, keepdims=True)


def _cohort(rng: Rng, z: np.ndarray) -> np.ndarray:
    year = rng.integers(1990, 2020, z.shape[:2]).astype(float)
    age = rng.integers(20, 70, z.shape[:2]).astype(float)
    return _stack(year, age, year - age)


def _clock(rng: Rng, z: np.ndarray) -> np.ndarray:
    t = 1.7e9 + rng.uniform(0.0, 1e7, z.shape[:2])
    return _stack(t, t / 86400)


def _interaction(rng: Rng, z: np.ndarray) -> np.ndarray:
    a, b = (z[..., i] > 0 for i in (0, 1))
    a[:, :4], b[:, :4] = [0, 0, 1, 1], [0, 1, 0, 1]
    return _stack(a, b, a & b, ~a & ~b).astype(float)


def _far(z: np.ndarray) -> np.ndarray:
    a, b = 1e9 + z[..., 0], 1e9 + z[..., 1]
    return _stack(a, b, a - b)


def _square_of_a_dummy(rng: Rng, z: np.ndarray) -> np.ndarray:
    d = (z[..., 0] > 0).astype(float)
    d[:, :2] = [0.0, 1.0]
    return _stack(d, z[..., 1], d**2)


def _unseen_level(rng: Rng, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A dummy whose rows all have zero weight."""
    weights = rng.uniform(0.5, 2.0, z.shape[:2])
    weights[:, 5:12] = 0.0
    dummy = np.zeros(z.shape[:2])
    dummy[:, 5:12] = 1.0
    return _stack(z[..., 0], dummy, z[..., 1]), weights


def _twins_by_weight(rng: Rng, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns that differ only in rows of zero weight."""
    weights = rng.uniform(0.5, 2.0, z.shape[:2]) * (np.arange(z.shape[1]) >= 9)
    other = np.where(weights > 0, z[..., 0], z[..., 1])
    return _stack(z[..., 0], z[..., 2], other), weights


def _wide(rng: Rng, z: np.ndarray) -> np.ndarray:
    """More columns than the small Cholesky takes, the last two redundant."""
    X = rng.normal(size=(*z.shape[:2], 20))
    X[..., 18], X[..., 19] = X[..., 3], X[..., 4] + X[..., 5]
    return X


KINDS = (
    Kind("duplicate", lambda rng, z: _stack(*_columns(z, 0, 1, 0)), 2),
    Kind("duplicate first", lambda rng, z: _stack(*_columns(z, 0, 0, 1, 2)), 3),
    Kind("duplicate times 1e-8", lambda rng, z: _stack(z[..., 0], 1e-8 * z[..., 0]), 1),
    Kind("duplicate with another sign", lambda rng, z: _stack(z[..., 0], -z[..., 0]), 1),
    Kind("two duplicates", lambda rng, z: _stack(*_columns(z, 0, 1, 0, 2, 1)), 3),
    Kind("sum", lambda rng, z: _stack(z[..., 0], z[..., 1], z[..., 0] + z[..., 1]), 2),
    Kind(
        "weighted sum",
        lambda rng, z: _stack(z[..., 0], z[..., 1], 0.1 * z[..., 0] + 0.3 * z[..., 1]),
        2,
    ),
    Kind("sum of seven", lambda rng, z: _stack(*_columns(z, *range(7)), z[..., :7].sum(-1)), 7),
    Kind(
        "sum in float32",
        lambda rng, z: _stack(
            np.float32(z[..., 0]), np.float32(z[..., 1]), z[..., 0].astype("f4").astype(float) * 3
        ),
        2,
    ),
    Kind("zero column", lambda rng, z: _stack(z[..., 0], 0.0 * z[..., 0], z[..., 1]), 2),
    Kind("only zeros", lambda rng, z: np.zeros((*z.shape[:2], 2)), 0),
    Kind("constant 0.1", lambda rng, z: _stack(z[..., 0], np.full(z.shape[:2], 0.1)), 2, 0),
    Kind("constant 1e7", lambda rng, z: _stack(np.full(z.shape[:2], 1e7), z[..., 0]), 2, 0),
    Kind("constant 1/3", lambda rng, z: _stack(z[..., 1], np.full(z.shape[:2], 1 / 3)), 2, 0),
    Kind(
        "0.3 or 0.1 + 0.2",
        lambda rng, z: _stack(z[..., 1], np.where(z[..., 0] > 0, 0.3, 0.1 + 0.2)),
        2,
        0,
    ),
    Kind("dummy trap", lambda rng, z: _dummies(rng, z, 4), 4, 0),
    Kind(
        "two dummy traps",
        lambda rng, z: np.concatenate([_dummies(rng, z, 3), _dummies(rng, z[:, ::-1], 2)], -1),
        4,
        0,
    ),
    Kind("square of a dummy", _square_of_a_dummy, 2),
    Kind("interaction of dummies", _interaction, 4, 0),
    Kind("shares that sum to one", _shares, 4, 0),
    Kind(
        "Fahrenheit",
        lambda rng, z: _stack(20 + 5 * z[..., 0], 1.8 * (20 + 5 * z[..., 0]) + 32),
        2,
        0,
    ),
    Kind("year, age and cohort", _cohort, 2),
    Kind("a, b, a-b at 1e9", lambda rng, z: _far(z), 2, sharp=False),
    Kind("seconds and days", _clock, 1),
    Kind(
        "price and its multiple",
        lambda rng, z: _stack(1e6 + np.round(z[..., 0], 2), 3.7 * (1e6 + np.round(z[..., 0], 2))),
        1,
    ),
    Kind("units of their own", _units, 3),
    Kind("level without weight", _unseen_level, 2),
    Kind("alike where there is weight", _twins_by_weight, 2),
    Kind("p > 16", _wide, 18),
)


def famous() -> dict[str, tuple[np.ndarray, int]]:
    """Single designs (60, k) and their ranks with an intercept: singular ones and full ones."""
    rng = np.random.default_rng(11)
    n = 60
    z = rng.normal(size=(1, n, 8))
    found = {}
    for kind in KINDS:
        made = kind.make(rng, z)
        if not isinstance(made, tuple):
            found[kind.name] = made[0], kind.rank + kind.intercept
    first, second = z[0, :, 0], z[0, :, 1]
    for power in (4, 5, 6, 7, 8):
        found[f"within 1e-{power}, full"] = _stack(first, first + 10.0**-power * second), 3
    for span in (1e-2, 1.0, 100.0, 1e4):
        found[f"1.7e9 with a span of {span:g}, full"] = (
            (1.7e9 + np.linspace(0, span, n))[:, None],
            2,
        )
    for unit in (1e-300, 1e-12, 1e12, 1e300):
        found[f"units of {unit:g}, full"] = _stack(first, unit * second), 3
    x = np.linspace(-8.78, -3.13, n)
    found["polynomial of degree 10, full"] = _stack(*(x**j for j in range(1, 11))), 11
    year = np.linspace(2000, 2020, n)
    found["year, its square and cube, full"] = _stack(year, year**2, year**3), 4
    return found
