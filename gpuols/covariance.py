"""Covariances of the coefficients, and of combinations of them, from moments."""

import math

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines import cpu
from gpuols.moments import Moments
from gpuols.refined import Refined

Array = NDArray[np.float64]


def unscaled(
    singular: str,
    moments: Moments,
    refined: Refined | None,
    ridge: Array,
    weights: Array,
    exponent: NDArray[np.int64] | None = None,
) -> Array:
    """Covariance of combinations of the coefficients divided by the residual variance.

    Whatever engine fitted, the NumPy engine solves again.

    Parameters
    ----------
    singular : str
        What redundant columns got.
    moments : Moments
        Of a batch of shape L, on the host.
    refined : Refined or None
        Those of them that are known in double-double.
    ridge : L
        Penalties.
    weights : (r, p)
        Weights of the coefficients, one combination a row.
    exponent : L+(r,), optional
        Powers of two to multiply combinations by, where the moments have units.

    Returns
    -------
    L+(r,r)
        The matrices; a dropped coefficient counts as zero.
    """
    lead, r = moments.lead, len(weights)
    count = 1 if exponent is None and _one_design(moments, ridge) else ridge.size
    penalties = ridge.reshape(-1)
    raised = None if exponent is None else exponent.reshape(ridge.size, r)
    found = np.empty((count, r, r))

    def fill(places: NDArray[np.int64], part: Moments) -> None:
        size = max(part.k, r)
        spans = plan.solving(len(places), k=size, m=1, batch_size=None, precise=part.precise)
        for span in spans:
            own = places[span]
            found[own] = cpu.unscaled_covariance(
                part[span],
                penalties[own],
                weights,
                singular=singular,
                exponent=None if raised is None else raised[own],
            )

    if refined is None or len(refined.places) < count:
        fill(np.arange(count), moments.reshape((math.prod(lead),))[:count])
    if refined is not None:
        places = refined.places[:count]
        fill(places, refined.moments[: len(places)])
    return np.broadcast_to(found, (ridge.size, r, r)).reshape((*lead, r, r))


def without(covariance: Array, unknown: NDArray[np.bool_], weights: Array) -> Array:
    """Covariance of combinations, NaN for those in which a coefficient is not known.

    Parameters
    ----------
    covariance : L+(r,r)
        The matrices.
    unknown : L+(p,)
        Coefficients that are not known.
    weights : (r, p)
        Weights of the coefficients.

    Returns
    -------
    L+(r,r)
        The same, with NaN; all of it where no coefficient is known.
    """
    lost = (unknown[..., None, :] & (weights != 0)).any(axis=-1)
    lost |= unknown.all(axis=-1, keepdims=True)
    return np.where(lost[..., None] | lost[..., None, :], np.nan, covariance)


def _one_design(moments: Moments, ridge: Array) -> bool:
    """Whether all regressions have one design, so that their moments lie in one place."""
    steps = moments.sxx.strides[: len(moments.lead)] + ridge.strides
    return ridge.size > 1 and moments.k > 0 and not any(steps)
