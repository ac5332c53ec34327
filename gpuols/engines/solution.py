"""Solution: the answers that solving moments gives, before any statistic."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.records import filled

Array = NDArray[np.float64]


_OF_RESPONSES = ("params", "ssr", "error_bound", "status", "precise")


@filled
@dataclass(frozen=True, eq=False)
class Solution:
    """Answers to one or many regressions; L is the batch, p counts the intercept.

    Attributes
    ----------
    params : L+(p,m)
        Coefficients, the intercept first.
    variances : L+(p,)
        Their variances, divided by the residual variance.
    ssr, error_bound : L+(m,)
        Weighted sum of squared residuals; bound on the error of every number.
    df_resid, rank : L
        Residual degrees of freedom; rank of the design, a whole number of any dtype, -1 where it is
        not known.
    status : L+(m,)
        Code of `Status`.
    precise : L+(m,)
        Whether solved in double-double.
    """

    params: Array
    variances: Array
    ssr: Array
    error_bound: Array
    df_resid: Array
    rank: NDArray[Any]
    status: NDArray[np.int8]
    precise: NDArray[np.bool_]

    @classmethod
    def empty(cls, count: int, p: int, m: int) -> Self:
        """Room for the answers to `count` regressions, L = (count,)."""
        return cls(
            params=np.empty((count, p, m)),
            variances=np.empty((count, p)),
            ssr=np.empty((count, m)),
            error_bound=np.empty((count, m)),
            df_resid=np.empty(count),
            rank=np.empty(count, np.int64),
            status=np.empty((count, m), np.int8),
            precise=np.zeros((count, m), bool),
        )

    @classmethod
    def empty_shared(cls, p: int, m: int) -> Self:
        """Room for the answers to m responses on one design, L = ()."""
        return cls.empty(1, p, m).reshape(())

    def reshape(self, lead: tuple[int, ...]) -> Self:
        """Answers with another shape of the batch."""
        depth = self.df_resid.ndim
        if self.df_resid.shape == lead:
            return self
        return self.map(lambda a: a.reshape(lead + a.shape[depth:]))

    def map(self, change: Callable[[Any], Any]) -> Self:
        """Answers with every array changed by one function."""
        return type(self)(**{name: change(array) for name, array in vars(self).items()})

    def store(self, where: Any, part: Self) -> None:
        """Write the answers to some regressions into their places of the first axis."""
        for name, array in vars(self).items():
            array[where] = getattr(part, name)

    def take_responses(self, columns: NDArray[np.int64]) -> Self:
        """Answers to some responses on a design they share, L = ()."""
        own = {name: getattr(self, name) for name in _OF_RESPONSES}
        return replace(
            self, **{name: a[..., np.asarray(columns, like=a)] for name, a in own.items()}
        )

    def store_responses(self, columns: Any, part: Self) -> None:
        """Write the answers to some responses into their places, L = ()."""
        for name, array in vars(self).items():
            where = (..., columns) if name in _OF_RESPONSES else ...
            array[where] = getattr(part, name)

    def by_response(self) -> Self:
        """Answers to one design, L = (), as a batch of its m responses, L = (m,)."""
        m = self.ssr.shape[0]
        return type(self)(
            params=self.params.T[:, :, None],
            variances=np.broadcast_to(self.variances, (m, *self.variances.shape)),
            ssr=self.ssr[:, None],
            error_bound=self.error_bound[:, None],
            df_resid=np.broadcast_to(self.df_resid, m),
            rank=np.broadcast_to(self.rank, m),
            status=self.status[:, None],
            precise=self.precise[:, None],
        )
