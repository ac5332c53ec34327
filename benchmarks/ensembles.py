"""Random regressions of every shape, family and kind, fitted the way each ensemble asks for."""

from typing import Any

import numpy as np

import gpuols
from benchmarks import families
from benchmarks.families import Array, Batch, Generator

ENSEMBLES = (
    "intercept",
    "no intercept",
    "weights",
    "ridge",
    "shared design",
    "groups",
    "merged",
    "merged precisely",
)
SIZES = (30, 60, 120, 250, 1000, 5000)
_CHANCES = (0.2, 0.2, 0.2, 0.2, 0.17, 0.03)
_NOISE = (1e-9, 1e-6, 1e-3, 1.0, 10.0)


def draw(
    seed: int, index: int, *, columns: int = 10, sizes: tuple[int, ...] = SIZES, count: int = 20
) -> tuple[str, str, Batch]:
    """The ensemble, the family and the regressions that a seed and an index stand for."""
    rng = np.random.default_rng([seed, index])
    ensemble = ENSEMBLES[index % len(ENSEMBLES)]
    family = str(rng.choice(list(families.DESIGNS)))
    k = int(rng.integers(1, 6 if family == "polynomial" else columns + 1))
    n = int(rng.choice(sizes, p=np.array(_CHANCES[: len(sizes)]) / sum(_CHANCES[: len(sizes)])))
    if rng.random() < 0.3:
        n = k + 3 if rng.random() < 0.5 else 2 * k + 5
    count = min(count, max(2, 10_000 // n))
    shared = ensemble == "shared design"
    responses = count if shared else int(rng.integers(1, 3))

    X = families.DESIGNS[family](rng, 10.0 ** rng.uniform(0, 12), (1 if shared else count, n, k))
    y = families.respond(rng, X, float(rng.choice(_NOISE)), responses)
    if rng.random() < 0.25:
        y += 10.0 ** rng.uniform(0, 7)
    weights = None
    if ensemble == "weights" or (ensemble not in ENSEMBLES[:2] and rng.random() < 0.3):
        weights = families.WEIGHTS[str(rng.choice(list(families.WEIGHTS)))](rng, X.shape[:2])
    ridge: Array | float = 0.0
    if ensemble == "ridge":
        w = 1.0 if weights is None else weights[:, :, None]
        ridge = (w * X**2).sum(axis=1).mean(axis=1) * 10.0 ** rng.uniform(-14, 10, count)
    add_intercept = {"intercept": True, "no intercept": False}.get(ensemble, rng.random() < 0.5)
    if shared:
        X, y, weights = X[0], y[0], None if weights is None else weights[0]
    return ensemble, family, Batch(X, y, bool(add_intercept), weights, ridge)


def fit(ensemble: str, batch: Batch, rng: Generator, **options: Any) -> gpuols.Result:
    """Fit as one batch, as groups of one table in random order, or from pieces of the rows."""
    if ensemble == "groups":
        return _as_groups(batch, rng, **options)
    if ensemble == "merged precisely" and options["solver"] == "auto":
        options["solver"] = "accurate"  # rows in pieces can't be looked at again
    if ensemble.startswith("merged"):
        return _in_pieces(batch, rng, **options)
    return batch.fit(**options)


def _as_groups(batch: Batch, rng: Generator, **options: Any) -> gpuols.Result:
    count, n, k = batch.X.shape
    order = rng.permutation(count * n)
    return gpuols.fit_groups(
        batch.X.reshape(-1, k)[order],
        batch.y.reshape(count * n, -1)[order],
        np.repeat(np.arange(count), n)[order],
        weights=None if batch.weights is None else batch.weights.ravel()[order],
        add_intercept=batch.add_intercept,
        **options,
    )


def _in_pieces(batch: Batch, rng: Generator, *, tol: float, **options: Any) -> gpuols.Result:
    n = batch.X.shape[1]
    cuts = np.sort(rng.integers(0, n + 1, int(rng.integers(1, 20))))
    total = None
    for rows in np.split(np.arange(n), cuts):
        piece = gpuols.moments(
            batch.X[:, rows],
            batch.y[:, rows],
            weights=None if batch.weights is None else batch.weights[:, rows],
            add_intercept=batch.add_intercept,
            **options,
        )
        total = piece if total is None else total + piece
    return gpuols.fit_moments(total, tol=tol)
