"""From moments to solutions: answers, their error bound and their status.

All arrays here have the regressions on the last axis; a design that many responses share has one.
"""

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.answers import Answers, answer, means
from gpuols.engines.design import Design, factor
from gpuols.engines.fitted import Looks
from gpuols.engines.solution import Solution
from gpuols.engines.trust import error_bound, error_of_variances, has_rank, in_range
from gpuols.errors import Status
from gpuols.moments import Moments
from gpuols.numerics import bound, cholesky, pivots
from gpuols.numerics import doubledouble as dd
from gpuols.numerics.lanes import to_first, to_last

Array = NDArray[np.float64]


def solve(
    moments: Moments,
    ridge: Array,
    *,
    tol: float,
    singular: str = "drop",
    design: Design | None = None,
    looks: Looks = (),
) -> Solution:
    """Solve regressions given by their moments.

    Parameters
    ----------
    moments : Moments
        L = (b,) for a batch, L = () for one design whose m responses share it.
    ridge : L
        Penalty of each regression.
    tol : float
        Largest error bound that is called OK.
    singular : str
        What redundant columns get, where the moments are in double-double.
    design : Design, optional
        Their factored design, from `factor_design`.
    looks : sequence of Moments
        Moments of the residuals, all in double-double: of the answers without them, then of those
        with one more each.

    Returns
    -------
    Solution
        Answers of the same batch.
    """
    shared = not moments.lead

    def from_lanes(a: Array) -> Array:
        return a[..., 0] if shared else to_first(a)

    with np.errstate(all="ignore"):
        lanes = to_lanes(moments)
        if design is None:
            design = _factor(moments, lanes, ridge, singular)
        closer = [to_lanes(look) for look in looks]
        found = answer(lanes, moments.k, design, closer, shared=shared)
        worst = error_bound(lanes, moments.k, design, found)
        judged = _judge(lanes, moments.k, design, found, worst, tol, singular, shared=shared)
        return judged.map(from_lanes)


def factor_design(moments: Moments, ridge: Array, *, singular: str = "drop") -> Design:
    """Factor the designs of regressions, with their rank where the moments are in double-double.

    Parameters
    ----------
    moments, ridge, singular
        As in `solve`.

    Returns
    -------
    Design
        Regressions last.
    """
    with np.errstate(all="ignore"):
        return _factor(moments, to_lanes(moments), ridge, singular)


def _factor(moments: Moments, lanes: Moments, ridge: Array, singular: str) -> Design:
    penalty = np.asarray(ridge)[..., None] if not moments.lead else ridge
    return factor(lanes, moments.k, penalty, shortest=singular == "min_norm")


def unscaled_covariance(
    moments: Moments,
    ridge: Array,
    weights: Array,
    *,
    singular: str = "drop",
    exponent: NDArray[np.int64] | None = None,
) -> Array:
    """Covariance of combinations of the coefficients divided by the residual variance.

    The intercept is ȳ - b'x̄, so a combination is taken from the covariance of the slopes about
    the mean: an offset far from zero does not cancel. A dropped coefficient counts as zero.

    Parameters
    ----------
    moments : Moments
        L = (b,).
    ridge : (b,)
        Penalty of each regression.
    weights : (r, p)
        Weights of the coefficients, one combination a row.
    singular : str
        As in `solve`.
    exponent : (b, r), optional
        Powers of two to multiply combinations by, where the moments have units.

    Returns
    -------
    (b, r, r)
        The matrices, NaN where S + λI is not positive definite.
    """
    with np.errstate(all="ignore"):
        design = factor_design(moments, ridge, singular=singular)
        free, k = int(moments.centered), moments.k
        own, raised = _own_weights(moments, weights)
        rows = dd.exact(own[free:])
        if free:
            center = dd.take(means(to_lanes(moments)), (slice(k), None))
            rows = dd.subtract(rows, dd.multiply(dd.exact(own[:1]), center))
        rows = rows[0] * design.scale[:, None], rows[1] * design.scale[:, None]
        if design.precise is not None:
            half = dd.matmul(design.precise.root, rows)
            inner = design.precise.inner
            other = half if inner is None else dd.matmul(inner, half)
            covariance = to_first(dd.matmul(pivots.transpose(half), other)[0])
        else:
            plain = cholesky.multiply(design.root, rows[0])
            turned = plain if design.inner is None else cholesky.multiply(design.inner, plain)
            covariance = to_first(cholesky.multiply(plain.swapaxes(0, 1), turned))
        if free:
            first = to_first(own[0])
            mean = first[:, :, None] * first[:, None]
            covariance = covariance + mean / moments.sumw[:, None, None]
        if moments.units is not None:
            raised = raised + (0 if exponent is None else exponent)
            both = raised[:, :, None] + raised[:, None] - moments.units[:, -1, None, None]
            covariance = np.ldexp(covariance, both)
        return np.asarray(covariance)


def _own_weights(moments: Moments, weights: Array) -> tuple[Array, NDArray[np.int64]]:
    """Weights (p, r, b) of the coefficients in the moments' units, and exponents (b, r) apart."""
    count, r = len(moments.nobs), len(weights)
    own = np.repeat(weights.T[:, :, None], count, axis=2)
    if moments.units is None:
        return own, np.zeros((count, r), np.int64)
    shift = np.zeros((weights.shape[1], 1, count), np.int64)
    shift[int(moments.centered) :, 0] = -moments.units.T[: moments.k]
    _, size = np.frexp(own)
    lowest = np.iinfo(np.int32).min
    size = np.where(own != 0, size + shift, lowest).max(axis=0, initial=lowest)
    raised = np.where((own != 0).any(axis=0), size, 0)
    return np.ldexp(own, shift - raised), raised.T


def to_lanes(moments: Moments) -> Moments:
    """Moments with the regressions last; a design that responses share has one."""
    if moments.lead:
        return moments.map(to_last)
    return moments.map(lambda a: np.asarray(a)[..., None])


def _judge(
    lanes: Moments,
    k: int,
    design: Design,
    found: Answers,
    worst: Array,
    tol: float,
    singular: str,
    *,
    shared: bool,
) -> Solution:
    """What the answers are worth, and which of them to give."""
    free, some = int(lanes.centered), lanes.nobs > 0
    sound = np.isfinite(lanes.mean) & ~np.isnan(lanes.raw)
    design_sound = is_sound(lanes, k)
    finite = design_sound & sound[k:]
    few = found.df <= 0
    enough = design.solved & ~(found.df < 0)
    if not lanes.precise:
        fine = in_range(lanes, k, design)
        worst = np.where(fine & bound.in_range(lanes.raw[k:]), worst, np.inf)
    trusted = design.solved & (worst <= tol)
    if design.precise is None:
        distinct = has_rank(lanes, k, design)
        if not (shared or finite.all()):
            # Where no response can be trusted for the rank, the factor alone has to be; that of a
            # shared design must not depend on which responses are solved together.
            error = 0.5 * error_of_variances(lanes, k, design, found)
            enough = enough & (finite.any(axis=0) | (distinct & fine & (error <= tol)))
        rank = np.where(enough, free + k, -1)
        trusted = trusted & distinct
    else:
        enough = enough & some & design_sound
        rank = np.where(design_sound, free * some + design.slopes, -1)
    deficient = design.slopes < k
    status = np.full(finite.shape, int(Status.OK), np.int8)
    for where, code in (  # the last one that holds
        (~trusted, Status.UNTRUSTED),
        (deficient, Status.RANK_DEFICIENT),
        (few, Status.TOO_FEW_ROWS),
        (~finite, Status.NONFINITE),
    ):
        np.copyto(status, int(code), where=where)

    variance = design.variance * design.scale**2
    given = are_given(design, singular, free)
    if free:
        variance = np.concatenate([found.variance, variance])
    params = np.concatenate([found.intercept, found.b * design.scale[:, None]])
    known = finite & enough
    judged = known & ~few & ~np.isnan(worst)
    precise = np.full(finite.shape, lanes.precise)
    return Solution(
        params=np.where(known & given[:, None], params, np.nan),
        variances=np.where(enough & given, variance, np.nan),
        ssr=np.where(known, found.ssr, np.nan),
        error_bound=np.where(judged, worst, np.inf),
        df_resid=np.where(enough, found.df, np.nan),
        rank=rank.astype(np.int64),
        status=status,
        precise=precise,
    )


def is_sound(lanes: Moments, k: int) -> NDArray[np.bool_]:
    """Whether the numbers of the design are finite; (b,)."""
    sound = np.isfinite(lanes.mean[:k]) & ~np.isnan(lanes.raw[:k])
    return np.asarray(np.isfinite(lanes.sumw) & sound.all(axis=0))


def are_given(design: Design, singular: str, free: int) -> NDArray[np.bool_]:
    """Which coefficients are given, the intercept, if `free` = 1, first; (p, b)."""
    given, deficient = design.kept, design.slopes < len(design.kept)
    first = np.ones((free, len(deficient)), bool)
    if singular == "min_norm":
        given = np.ones_like(given)
    elif singular == "nan":
        given, first = given & ~deficient, first & ~deficient
    return np.concatenate([first, given])
