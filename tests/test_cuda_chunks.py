"""Sums of the many chunks of long regressions, added in runs."""

import math

import machines
import numpy as np
import pytest
from agreement import disagreements
from machines import in_order
from scenes import Folds

import gpuols
from gpuols.engines import launches
from gpuols.numerics import doubledouble as dd

machine, pretended = machines.machine, machines.pretended
pytestmark = pytest.mark.usefixtures("machine")

NUMBERS = ("params", "bse", "ssr", "error_bound", "status", "nobs")
RUN = 16
CHUNKS = (1, 600, 2, 16, 17, 33, 256, 257, 272)


def apart(chunks):
    """How many chunks apart the sums are that are left."""
    return 1 if chunks <= RUN else RUN if chunks <= RUN**2 else RUN**2


def stretches(scene):
    """Where the chunks of each regression are."""
    ends = np.cumsum(scene.chunks).tolist()
    return [slice(end - n, end) for end, n in zip(ends, scene.chunks, strict=True)]


def left(scene, numbers, columns):
    """Those columns of the sums that are added, anchors are not."""
    anchors = np.arange(3, 3 + scene.k + scene.m)
    return np.delete(numbers[:, :columns], anchors, axis=1), numbers[:, anchors]


@in_order
def test_runs_lose_nothing_and_depend_on_the_number_of_chunks_alone():
    scene = Folds(CHUNKS, precise=False)
    before, (after,) = scene.sums(), scene.answer()
    for own in stretches(scene):
        step = apart(own.stop - own.start)
        (given, anchors), (found, same) = (left(scene, a[own], None) for a in (before, after))
        np.testing.assert_array_equal(same, anchors)
        if step == 1:
            np.testing.assert_array_equal(found, given)
            continue
        for e in range(given.shape[1]):
            parts = [*found[::step, e], *found[1::step, e]]
            assert math.fsum(parts) == pytest.approx(math.fsum(given[:, e]), rel=1e-28, abs=1e-28)
        alone = Folds((own.stop - own.start,), precise=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Folds, "sums", lambda _, own=own: before[own])
            np.testing.assert_array_equal(alone.answer()[0][::step], after[own][::step])


@in_order
def test_in_double_double_runs_are_parts_of_the_tree_over_all_chunks():
    scene = Folds((600, 400), precise=True)
    before, (after,) = scene.sums(), scene.answer()
    np.testing.assert_array_equal(after[600:], before[600:])  # not far
    size, levels = scene.shape.sums, before[:600]
    for _ in range(8):
        even, odd = levels[::2], levels[1::2]
        joined = even.copy()
        for i, b in enumerate(odd):
            a = even[i]
            high, low = dd.add((a[:size], a[size : 2 * size]), (b[:size], b[size : 2 * size]))
            counted, largest = [0, 2], np.arange(9, 12)
            joined[i, :size], joined[i, size : 2 * size] = high, low
            joined[i, counted] = a[counted] + b[counted]
            joined[i, largest] = np.maximum(a[largest], b[largest])
            joined[i, [-2, -1]] = max(a[-2], b[-2]), min(a[-1], b[-1])
        levels = joined
    single = [0, 2, *range(9, 12)]  # without low parts
    found = after[:600:256]
    np.testing.assert_array_equal(left(scene, found, size)[0], left(scene, levels, size)[0])
    lows = np.delete(np.arange(size, 2 * size), [*single, 3, 4, 5])
    np.testing.assert_array_equal(found[:, lows], levels[:, lows])
    np.testing.assert_array_equal(found[:, -2:], levels[:, -2:])


@in_order
def test_a_long_group_is_a_long_batch_of_one():
    sizes = (17 * launches.CHUNK - 4000, 5000, 3)
    rng = np.random.default_rng(0)
    keys = rng.permutation(np.repeat(np.arange(3), sizes))
    X, y = rng.normal(size=(len(keys), 1)), rng.normal(5.0, 1.0, len(keys))
    options = {"add_intercept": True, "device": "cuda"}
    groups = gpuols.fit_groups(X, y, keys, **options)
    alone = gpuols.fit(X[None, keys == 0], y[None, keys == 0], **options)
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(groups, name)[0], getattr(alone, name)[0])
    assert disagreements(groups, gpuols.fit_groups(X, y, keys, add_intercept=True)) == []
    options = {"add_intercept": True, "solver": "accurate"}
    closely, expected = (
        gpuols.fit_groups(X, y, keys, device=device, **options) for device in ("cuda", "cpu:numpy")
    )
    assert disagreements(closely, expected) == []
