"""The cases: batches of regressions on the device, and the least time each can take."""

from dataclasses import dataclass
from typing import Any

_CHUNK_BYTES = 256e6


@dataclass(frozen=True)
class Case:
    """Regressions of one response each, without a column of ones: a batch, or on one design.

    Attributes
    ----------
    letter : str
        What it is called for short.
    count, n, k : int
        Regressions, rows and columns of each.
    share : float
        Share of the floor that is wanted; a design figure.
    design_ms : dict
        Floor by device that was designed for; design figures.
    shared : bool
        Whether all responses share one design.
    """

    letter: str
    count: int
    n: int
    k: int
    share: float
    design_ms: dict[str, float]
    shared: bool = False

    @property
    def name(self) -> str:
        """Letter and sizes."""
        if self.shared:
            return f"{self.letter}: one ({self.n:,} x {self.k}), {self.count:,} responses"
        return f"{self.letter}: {self.count:,} x ({self.n:,} x {self.k})"

    def bytes(self, itemsize: int = 8) -> int:
        """Bytes of X and y, each read once, and of the coefficients that a shared design leaves."""
        if self.shared:
            return self.n * (self.k + self.count) * itemsize + 8 * self.count * self.k
        return self.count * self.n * (self.k + 1) * itemsize

    def flops(self, add_intercept: bool = False) -> int:
        """Operations for half of the symmetric Gram matrix of [1 X y], or for [1 X y]'y alone."""
        width = self.k + 1 + add_intercept
        if self.shared:
            return 2 * self.count * self.n * width
        return self.count * self.n * width * (width + 1)

    def make(self, xp: Any, seed: int = 1) -> tuple[Any, Any]:
        """X (count, n, k), or (1, n, k), and y (count, n), well conditioned, half of y noise."""
        rng = xp.random.default_rng(seed)
        if self.shared:
            X, y = rng.standard_normal((1, self.n, self.k)), xp.empty((self.count, self.n))
            step = max(1, int(_CHUNK_BYTES / (self.n * 8)))
            for start in range(0, self.count, step):
                part = y[start : start + step]
                slopes = rng.standard_normal((len(part), self.k)) / self.k**0.5
                part[...] = slopes @ X[0].T + rng.standard_normal(part.shape)
            return X, y
        X, y = xp.empty((self.count, self.n, self.k)), xp.empty((self.count, self.n))
        step = max(1, int(_CHUNK_BYTES / (self.n * self.k * 8)))
        for start in range(0, self.count, step):
            part = slice(start, min(start + step, self.count))
            X[part] = rng.standard_normal(X[part].shape)
            slopes = rng.standard_normal((part.stop - start, 1, self.k)) / self.k**0.5
            y[part] = (X[part] * slopes).sum(axis=2) + rng.standard_normal(y[part].shape)
        return X, y


CASES = (
    Case("A", 10_000, 1_000, 10, 0.85, {"H100": 0.29, "H200": 0.21}),
    Case("B", 100_000, 252, 5, 0.85, {"H100": 0.41, "H200": 0.28}),
    Case("C", 1_000_000, 60, 4, 0.85, {"H100": 0.81, "H200": 0.57}),
    Case("D", 2_000, 5_000, 50, 0.75, {"H100": 1.36, "H200": 0.95}),
    Case("E", 1_000_000, 1_000, 30, 0.85, {"H100": 2.75, "H200": 1.92}, shared=True),
    Case("F", 200_000, 5_000, 20, 0.75, {"H100": 2.67, "H200": 1.86}, shared=True),
)

QUICK = (
    Case("A", 200, 1_000, 10, 0.85, {}),
    Case("B", 1_000, 252, 5, 0.85, {}),
    Case("C", 5_000, 60, 4, 0.85, {}),
    Case("D", 40, 5_000, 50, 0.75, {}),
    Case("E", 2_000, 1_000, 30, 0.85, {}, shared=True),
    Case("F", 500, 5_000, 20, 0.75, {}, shared=True),
)
"""The same with fewer regressions: to see that everything runs, not how fast."""
