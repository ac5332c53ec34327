"""Scale of a regression: what no double holds, and what its rounding hides."""

import numpy as np
from case import Regression


def products(regression: Regression) -> np.ndarray:
    """The numbers of X and y, times the roots of the weights; (n, k+m)."""
    rows = np.column_stack([regression.X, regression.y])
    with np.errstate(over="ignore"):
        return rows * np.sqrt(regression.weights)[:, None] if rows.size else np.zeros((1, 1))


def beyond(regression: Regression) -> bool:
    """Whether squares overflow: moments in double then hold no finite sum."""
    return bool(np.abs(products(regression)).max() > 1e150)


def vanishing(regression: Regression) -> bool:
    """Whether the squares of a whole column underflow."""
    largest = np.abs(products(regression)).max(axis=0)
    return bool(((largest > 0) & (largest < 1e-150)).any())


def overflow(regression: Regression) -> bool:
    """Whether a weighted sum of a column overflows, which looks like an infinity in double."""
    rows = np.column_stack([regression.X, regression.y])
    with np.errstate(over="ignore"):
        return not np.isfinite(np.abs(rows * regression.weights[:, None]).sum(axis=0) * 2).all()


def out_of_reach(regression: Regression) -> bool:
    """Whether a penalty and a column's squares have no common scale."""
    rows = np.abs(regression.X).max(axis=0, initial=0.0)
    _, sizes = np.frexp(np.append(rows, [regression.ridge, regression.weights.max(initial=0.0)]))
    squares = 2 * sizes[:-2][rows > 0] + sizes[-1]
    return bool((np.abs(squares - sizes[-2]) > 470).any())


def uneven(regression: Regression) -> bool:
    """Whether units differ so much that rounding decides which solution is shortest."""
    size = np.abs(regression.X).max(axis=0, initial=0.0)
    return bool((size[size > 0].max(initial=0.0) * 1e-6 > size[size > 0]).any())


def felt(regression: Regression, want: np.ndarray, digits: int) -> np.ndarray:
    """Which coefficients move the fit, with so many binary digits beside the one that does most."""
    size = np.abs(regression.X).max(axis=0, initial=0.0)
    if regression.add_intercept:
        size = np.append(1.0, size)
    _, part = np.frexp(np.where(np.isfinite(want), want, 0.0))
    reach = part + np.frexp(size)[1]
    return (want != 0) & (reach > reach.max(initial=-(2**20), where=want != 0) - digits)


def extreme(regression: Regression) -> bool:
    """Whether coefficients may underflow or overflow."""
    sizes = np.abs(products(regression))
    return bool(((sizes > 1e100) | ((sizes < 1e-100) & (sizes > 0))).any())
