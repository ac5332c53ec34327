"""What double-double arithmetic can say of an answer: its error bound, and what counts as zero."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from exact import NOTHING, Factor, Sums, product
from mpmath import mp, mpf


@dataclass(frozen=True)
class Spread:
    """What one answer's coefficients and residuals are small or large against."""

    total: Sums
    kept: np.ndarray
    inverse: np.ndarray
    cov: np.ndarray
    b: np.ndarray
    intercept: int
    ridge: Any
    df: Any
    rows: bool
    """Whether residuals are looked at row by row, where their squares hide them."""

    def _squares(self, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """T² (m,) and y's own square, when squares about the anchor are as given (k+m,)."""
        k = len(self.kept)
        return down(of[:k][self.kept][:, None] * self.b**2) + of[k:], of[k:]

    @property
    def _about_mean(self) -> np.ndarray:
        """Squares about the nearest float64 to the mean, or about zero without an intercept."""
        if not self.intercept:
            return self.total.raw
        return self.total.centered + self.total.weight * (self.total.mean * mpf(2) ** -53) ** 2

    @property
    def _v2(self) -> Any:
        squares = self._about_mean[: len(self.kept)][self.kept]
        return mp.fsum(squares * np.diag(self.inverse))

    @property
    def _gamma(self) -> Any:
        return (4 + mp.sqrt(self.total.nobs) + mpf(min(self.total.nobs, 256)) / 4) * mpf(2) ** -104

    def _own(self, size: Any) -> Any:
        """Rounding of the residuals themselves, in norm, where T² is as given."""
        k = len(self.b)
        return mpf(2) ** -103 * (k + 4) * mp.sqrt((k + 2) * size)

    def _unseen(self, size: Any) -> Any:
        """Squares that count as zero, where T² is as given."""
        return self._own(size) ** 2 if self.rows else self._gamma * size

    def settle(self, ssr: np.ndarray, *, ruled: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients and sums of squares with zeros for what is a rounding error; the noise."""
        least, _ = self._squares(self._about_mean)
        most, _ = self._squares(self.total.span if self.intercept else self.total.raw)
        noise = np.full((len(ssr), 2), -np.inf)
        ssr, b = ssr.copy(), self.b.copy()
        for i, value in enumerate(ssr):
            if value <= NOTHING * least[i]:
                ssr[i] = mpf(0)
                continue
            noise[i] = [float(mp.log10(value / self._unseen(t))) for t in (most[i], least[i])]
            if ruled and not self.rows and noise[i, 1] <= 0:
                ssr[i] = mpf(0)
        for j in range(len(b)):
            small = NOTHING * NOTHING * self.inverse[j, j] * self._v2
            b[j] = [v if v * v > small * t else mpf(0) for v, t in zip(b[j], least, strict=True)]
        return b, ssr, noise

    def blurred(self, found: Factor, half: np.ndarray, floor: np.ndarray) -> np.ndarray:
        """Which pivots (k,) double-double can't tell from zero, nor from their floor."""
        of, answers = self._about_mean, []
        for j, part in enumerate(found.parts):
            before = np.flatnonzero(self.kept[:j])
            taken = product(half[: len(part), : len(part)].T, np.array([part], object).T)[:, 0]
            error = self._gamma * (mp.fdot(of[before], taken**2) + of[j])
            pivot = mp.mpf(10) ** found.margins[j] * floor[j]
            answers.append(10 * error > max(pivot, floor[j]))
        return np.array(answers, bool)

    def bound(self, ssr: np.ndarray) -> np.ndarray:
        """Error bound (m,) of a double-double solution; without residuals, of its coefficients."""
        of, k = self._about_mean, len(self.kept)
        spread, variance = np.diag(self.inverse), np.diag(self.cov)
        v2 = self._v2
        t2, y2 = self._squares(of)
        mean = self.total.mean[:k][self.kept]
        free = bool(self.intercept and self.total.nobs)
        reach = 1 / self.total.weight + _quadratic(mean, self.inverse) if free else 0
        own = 1 / self.total.weight + _quadratic(mean, self.cov) if free else 1
        ratio = max(
            [mpf(1), reach / own, *(s / v for s, v in zip(spread, variance, strict=True) if v)]
        )
        freed = self.ridge * mp.fsum(spread) / self.df if self.df else 0
        bounds = []
        for i, s in enumerate(ssr):
            noise, step = s / self.df if self.df else s, self._gamma * mp.sqrt(v2 * t2[i])
            hides, square = self._gamma * t2[i], y2[i]
            if self.rows and self.df > 0:
                left = s + step**2 * (1 + v2)
                better = self._gamma * mp.sqrt(v2 * left) + self._own(t2[i])
                step, square = min(step, better), min(square, left)
                hides = min(hides, self._gamma * left + self._unseen(t2[i]))
            parts = [
                (s_j, v_j, b_j)
                for s_j, v_j, b_j in zip(spread, variance, self.b[:, i], strict=True)
            ]
            estimates = [
                mp.sqrt(a) * step / max(abs(c), mp.sqrt(abs(v * noise)))
                for a, v, c in parts
                if c or (noise and v)
            ]
            if free:
                b0 = self.total.mean[k + i] - mp.fdot(mean, self.b[:, i])
                size = max(abs(b0), mp.sqrt(own * noise))
                error = mp.sqrt(reach) * (step + self._gamma * mp.sqrt(square))
                estimates += [error / size] if self._gamma * size > NOTHING * error else []
            if s:
                shrunk = self.ridge * mp.fsum(self.b[:, i] ** 2)
                estimates.append((hides + 2 * step * mp.sqrt(s if self.rows else shrunk)) / s / 2)
            if self.df > 0 and not s:
                # What the squares may hide would be standard errors.
                unseen = 2 * self._unseen(t2[i]) / self.df
                estimates += [mp.sqrt(abs(v * unseen)) / abs(c) for _, v, c in parts if c]
                estimates += [mp.sqrt(abs(own * unseen)) / abs(b0)] if free and b0 else []
                if t2[i] and not self.rows and not (self.b[:, i].all() and (not free or b0)):
                    estimates.append(mp.inf)
            if s or self.ridge:
                estimates.append(self._gamma * v2 * (ratio + freed) / 2)
            bounds.append(float(max(estimates, default=mpf(0))))
        return np.array(bounds)


def _quadratic(a: np.ndarray, matrix: np.ndarray) -> Any:
    return mp.fdot(a, product(matrix, a[:, None])[:, 0])


def down(a: np.ndarray) -> np.ndarray:
    """Sum over the first axis, also where it is empty."""
    return sum(a, np.full(a.shape[1], mpf(0), object))
