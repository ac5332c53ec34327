"""Rows with a missing value leave a regression, for each response by itself, and nothing else."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fit import STATISTICS as WITH_ARGUMENTS
from test_fit import TAILS
from test_promises import assert_same_bits, numbers
from test_result import STATISTICS, assert_equal_arrays, assert_same

import gpuols
from gpuols import InputError, Status
from gpuols.engines import masked
from gpuols.numerics.lanes import tile_of
from gpuols.options import THREADS_VARIABLE

TILE = tile_of(150, 1)
OPTIONS = {"missing": "drop", "add_intercept": True}


def holed(array, share=0.1, seed=0):
    """The array with a share of its values missing, read-only."""
    array = np.array(array, np.float64)
    array[np.random.default_rng(seed).random(array.shape) < share] = np.nan
    array.flags.writeable = False
    return array


def draw(lead=(), n=60, k=3, m=(), seed=0):
    """X and y with holes, read-only."""
    rng = np.random.default_rng([seed, n, k])
    X = rng.normal(size=(*lead, n, k)) + 2.0
    return holed(X, 0.01), holed(rng.normal(size=(*lead, n, *m)) + 1.0)


def alone(X, y, weights=None, **options):
    """Fit of one response to the rows that are left, taken out beforehand."""
    columns = [X, y[:, None]] + ([] if weights is None else [weights[:, None]])
    there = ~np.isnan(np.hstack(columns)).any(axis=1)
    own = None if weights is None else weights[there]
    return gpuols.fit(X[there], y[there], weights=own, add_intercept=True, **options)


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


# The same as without those rows.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("lead", [(), (3,), (2, 2)])
def test_every_statistic_is_that_of_the_rows_left(lead, weighted):
    X, Y = draw(lead, m=(4,))
    w = holed(np.random.default_rng(2).uniform(0.5, 2.0, (*lead, 60)), 0.03) if weighted else None
    result = gpuols.fit(X, Y, weights=w, **OPTIONS)
    for place in np.ndindex(*lead):
        for j in range(4):
            want = alone(X[place], Y[place][:, j], None if w is None else w[place])
            for name in TAILS:
                if name != "error_bound":
                    axis = -3 if name == "normalized_cov" else -1
                    close(getattr(result, name)[place].take(j, axis), getattr(want, name))
            for statistic in WITH_ARGUMENTS.values():
                axis = (statistic.tail.split()[::-1].index("m") + 1) if "m" in statistic.tail else 3
                close(statistic.mine(result)[place].take(j, -axis), statistic.mine(want))


def test_nothing_is_missing_among_integers():
    rng = np.random.default_rng(4)
    X, Y = rng.integers(-50, 50, (40, 3)), rng.integers(-50, 50, (40, 2))
    dropped = gpuols.fit(X, Y, **OPTIONS)
    assert dropped.normalized_cov.shape == (2, 4, 4)
    close(dropped.params, gpuols.fit(X, Y, add_intercept=True).params)


@pytest.mark.parametrize("keys", [True, False])
@pytest.mark.parametrize("m", [(), (1,), (3,)])
@pytest.mark.parametrize("weighted", [False, True])
def test_groups(m, weighted, keys):
    X, Y = draw(n=150, m=m)
    w = holed(np.random.default_rng(2).uniform(0.5, 2.0, 150), 0.03) if weighted else None
    sizes = [40, 0, 25, 25, 3, 57]
    labels = np.repeat(np.arange(6), sizes)
    if keys:
        labels = np.random.default_rng(5).permutation(labels)
        groups, present = {"groups": labels}, [0, 2, 3, 4, 5]
    else:
        groups, present = {"offsets": np.r_[0, np.cumsum(sizes)]}, range(6)
    for order in "CF":
        result = gpuols.fit_groups(X, np.asarray(Y, order=order), weights=w, **groups, **OPTIONS)
        assert result.params.shape == (len(present), 4, *m)
        for row, label in enumerate(present):
            own = labels == label
            for j in np.ndindex(m):
                y, mine = Y[own][:, j[0]] if m else Y[own], (row, ..., *j)
                want = alone(X[own], y, None if w is None else w[own])
                assert result.nobs[mine] == want.nobs
                assert result.status[mine] == want.status
                close(result.params[mine], want.params)
                close(result.bse[mine], want.bse)
        fitted = result.predict(X, groups=labels) if keys else None
        if fitted is not None:
            assert fitted.shape == Y.shape


def test_groups_with_a_penalty_each():
    X, Y = draw(n=90, m=(2,))
    labels, ridge = np.repeat([0, 1, 2], 30), [0.0, 1.0, 50.0]
    result = gpuols.fit_groups(X, Y, labels, ridge=ridge, **OPTIONS)
    for g in range(3):
        for j in range(2):
            want = alone(X[labels == g], Y[labels == g, j], ridge=ridge[g])
            close(result.params[g, :, j], want.params)
            close(result.df_resid[g, j], want.df_resid)


@pytest.mark.parametrize("lead", [(), (3,)])
@pytest.mark.parametrize("m", [(), (4,)])
def test_moments_of_pieces_add(lead, m):
    X, Y = draw(lead, n=90, m=m)
    rows = (slice(None),) * len(lead)
    pieces = [
        gpuols.moments(X[(*rows, cut)], Y[(*rows, cut)], **OPTIONS)
        for cut in (slice(0, 30), slice(30, 31), slice(31, 31), slice(31, None))
    ]
    total = gpuols.fit_moments(sum(pieces), ridge=np.full(lead, 0.5))
    want = gpuols.fit(X, Y, ridge=0.5, **OPTIONS)
    for name in ("params", "bse", "nobs", "llf", "normalized_cov"):
        assert getattr(total, name).shape == getattr(want, name).shape
        close(getattr(total, name), getattr(want, name))
    assert total.single == want.single
    assert len(total.params) == len(want.params)


def test_moments_with_and_without_dropping_do_not_mix():
    X, Y = draw(m=(4,))
    with pytest.raises(InputError, match='missing="drop"'):
        gpuols.moments(X, Y, missing="drop") + gpuols.moments(X, Y)


def test_moments_show_and_index_the_batch_without_responses():
    X, Y = draw((3,), m=(4,))
    options = {"missing": "drop", "device": "cpu:numpy"}
    moments = gpuols.moments(X, Y, **options)
    assert repr(moments).startswith("Moments(lead=(3,), k=3, m=4, ")
    whole = gpuols.fit(X, Y, **options)
    for where in (1, [2, 0], slice(1, None)):
        part = gpuols.fit_moments(moments[where])
        np.testing.assert_array_equal(part.params, whole[where].params)
    with pytest.raises(IndexError, match="no batch axis"):
        moments[0][0]


@pytest.mark.parametrize("weighted", [False, True])
def test_ordinary_data_are_not_summed_again(weighted, monkeypatch):
    X, Y = draw(m=(40,))
    w = holed(np.ones((60,)), 0.1) if weighted else None
    monkeypatch.setattr(masked, "sum_batch", None)
    options = {"weights": w, "device": "cpu:numpy", **OPTIONS}
    gpuols.fit(X, Y, **options).check()
    wild = X.copy()
    wild[np.argmin(np.isnan(X).any(axis=1)), 0] = np.inf
    with pytest.raises(TypeError):
        gpuols.fit(wild, Y, **options)


# Bits.

SHARED = [(5, 1), (60, 3), (256, 2), (257, 2), (300, 16), (300, 17), (130, 65), (4100, 3), (7, 0)]
VARIANTS = ["plain", "intercept", "weights", "ridge"]


def shared(shape, variant, m=TILE + 133):
    """One design, m responses with holes, weights and options."""
    n, k = shape
    rng = np.random.default_rng([n, k])
    X, Y = rng.normal(size=(n, k)) + 3.0, holed(rng.normal(size=(n, m)) + 1.0, 0.15)
    options = {"missing": "drop", "add_intercept": variant != "plain"}
    if variant == "weights":
        options["weights"] = holed(rng.uniform(0.1, 2.0, n) * (rng.random(n) > 0.1), 0.05)
    if variant == "ridge":
        options["ridge"] = 0.5
    return X, Y, options


@pytest.fixture(params=SHARED, ids=str)
def shape(request):
    return request.param


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


@pytest.mark.uncovered
def test_responses_on_one_design_do_not_meet(shape, variant, monkeypatch):
    X, Y, options = shared(shape, variant)
    whole = gpuols.fit(X, Y, **options)
    tile = tile_of(*X.shape)
    for m in (1, 2, tile - 1, tile + 1):
        places = np.random.default_rng(m).permutation(Y.shape[1])[:m]
        some = gpuols.fit(X, Y[:, places], **options)
        assert_same_bits(numbers(some), numbers(whole[places]))
    for size, threads in ((1, "2"), (7, "1"), (40, "3")):
        monkeypatch.setenv(THREADS_VARIABLE, threads)
        again = gpuols.fit(X, Y, batch_size=size, **options)
        assert_same_bits(numbers(again), numbers(whole))


@pytest.mark.uncovered
def test_memory_order_does_not_matter(shape, variant):
    X, Y, options = shared(shape, variant, m=TILE + 3)
    whole = numbers(gpuols.fit(X, Y, **options))
    wide = np.repeat(Y, 2, axis=1)[:, ::2]
    flipped = np.ascontiguousarray(Y[::-1, ::-1])[::-1, ::-1]
    for same in (np.asfortranarray(Y), wide, flipped):
        assert_same_bits(numbers(gpuols.fit(np.asfortranarray(X), same, **options)), whole)
    rows = gpuols.fit(X[None], np.ascontiguousarray(Y.T), **options)
    for name, array in numbers(rows).items():
        np.testing.assert_array_equal(array, whole[name].T, err_msg=name)


@pytest.mark.parametrize("harm", [np.nan, np.inf, 1e200])
def test_what_other_responses_hold_does_not_matter(shape, variant, harm):
    X, Y, options = shared(shape, variant, m=6)
    before = numbers(gpuols.fit(X, Y, **options)[:4])
    spoilt = Y.copy()
    spoilt[:, 4] = harm
    spoilt[0, 5] = harm
    assert_same_bits(numbers(gpuols.fit(X, spoilt, **options)[:4]), before)


@pytest.mark.parametrize("harm", [np.inf, 1e200])
def test_what_a_row_that_is_left_out_holds_does_not_matter(shape, variant, harm):
    X, Y, options = shared(shape, variant, m=6)
    if shape[1] == 0 or shape[0] < 10:
        return
    row = shape[0] // 3
    without = Y.copy()
    without[row, :4] = np.nan
    before = gpuols.fit(X, without, **options)
    wild = X.copy()
    wild[row, -1] = harm
    after = gpuols.fit(wild, without, **options)
    np.testing.assert_array_equal(after.status[:4], before.status[:4])
    for name in ("params", "bse", "llf"):
        # Not the same bits: the anchor of X is its middle row of finite values.
        close(getattr(after, name)[..., :4], getattr(before, name)[..., :4])
    weights = options.get("weights")
    for j in (4, 5):
        there = not np.isnan(Y[row, j]) and (weights is None or weights[row] > 0)
        assert (after.status[j] == Status.NONFINITE) == (there and np.isinf(harm))


def test_pairs_of_a_batch_do_not_meet():
    X, Y = draw((5,), m=(3,))
    whole = gpuols.fit(X, Y, **OPTIONS)
    for b in (0, 4):
        part = slice(b, b + 1)
        assert_same_bits(numbers(gpuols.fit(X[part], Y[part], **OPTIONS)), numbers(whole[part]))
    for j in range(3):
        one = gpuols.fit(X, Y[..., j], **OPTIONS)
        for name, array in numbers(one).items():
            np.testing.assert_array_equal(array, numbers(whole)[name][..., j], err_msg=name)
    assert_same_bits(numbers(gpuols.fit(X, Y, batch_size=2, **OPTIONS)), numbers(whole))


def test_pairs_of_groups_keep_the_bits_of_a_batch():
    X, Y = draw((4,), m=(3,))
    options = {"device": "cpu:numpy", **OPTIONS}
    batch = gpuols.fit(X, Y, **options)
    for order in "CF":
        table = np.asarray(Y.reshape(240, 3), order=order)
        grouped = gpuols.fit_groups(
            X.reshape(240, 3), table, offsets=range(0, 241, 60), batch_size=5, **options
        )
        assert_same_bits(numbers(grouped), numbers(batch))


@pytest.mark.parametrize("k", [2, 65])
def test_vectors_of_weights_do_not_meet(k):
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(150, k)), rng.normal(size=150)
    W = rng.uniform(0.1, 2.0, (TILE + 9, 150)) * (rng.random((TILE + 9, 150)) > 0.1)
    whole = gpuols.fit(X, y, weights=W, add_intercept=True)
    for places in ([3], [TILE + 8, 0, 7]):
        some = gpuols.fit(X, y, weights=W[places], add_intercept=True)
        assert_same_bits(numbers(some), numbers(whole[places]))
    for same in (np.asfortranarray(W), np.repeat(W, 2, axis=1)[:, ::2]):
        again = gpuols.fit(X, y, weights=same, add_intercept=True, batch_size=10)
        assert_same_bits(numbers(again), numbers(whole))
    for b in (0, TILE):
        one = gpuols.fit(X, y, weights=W[b], add_intercept=True)
        close(whole.params[b], one.params)
        close(whole.bse[b], one.bse)
        close(whole.llf[b], one.llf)


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 400),
    k=st.integers(0, 20),
    intercept=st.booleans(),
    weighted=st.booleans(),
    share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_response_alone_or_in_company(n, k, intercept, weighted, share, seed):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 80))
    X, Y = rng.normal(size=(n, k)), holed(rng.normal(size=(n, m)), share, seed)
    options = {"add_intercept": intercept, "missing": "drop"}
    if weighted:
        options["weights"] = rng.random(n)
    i = int(rng.integers(m))
    whole = gpuols.fit(X, Y, **options)
    assert_same_bits(numbers(gpuols.fit(X, Y[:, [i]], **options)), numbers(whole[[i]]))
    np.testing.assert_array_equal(np.isnan(Y).sum(axis=0), n - whole.nobs)


# A result by response is like any other.


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
@pytest.mark.parametrize("m", [0, 1, 4])
def test_shapes_are_those_without_dropping(lead, m):
    X, Y = draw(lead, m=(m,))
    result, plain = (gpuols.fit(X, Y, missing=how, device="cpu:numpy") for how in ("drop", "nan"))
    for name in TAILS:
        want = np.shape(getattr(plain, name))
        want = (*lead, m, 3, 3) if name == "normalized_cov" else want
        assert np.shape(getattr(result, name)) == want, name
    for name, statistic in WITH_ARGUMENTS.items():
        if name != "normalized_cov":
            assert np.shape(statistic.mine(result)) == np.shape(statistic.mine(plain)), name
    assert len(result) == len(plain)
    assert result.responses == plain.responses
    assert result.predict(X).shape == plain.predict(X).shape
    assert result.resid(X, Y).shape == Y.shape
    assert result.summary().splitlines()[1:2] == plain.summary().splitlines()[1:2] or m == 1
    assert repr(result).split(":")[0] == repr(plain).split(":")[0]


@pytest.mark.parametrize(
    "where", [0, -1, [2, 0], slice(1, None), [], np.array([True, False, True])]
)
@pytest.mark.parametrize("lead", [(), (3,)])
def test_it_is_indexed_like_any_other(lead, where):
    X, Y = draw(lead, m=(3,))
    result = gpuols.fit(X, Y, **OPTIONS)
    part = result[where]
    for name in STATISTICS:
        array = getattr(result, name)
        of_first_axis = lead or name == "normalized_cov"
        want = array[where] if of_first_axis else array[..., where]
        assert_equal_arrays(getattr(part, name), want, name)
    if lead:
        assert part.responses == result.responses
    else:
        assert part.responses == tuple(np.atleast_1d(np.array(result.responses)[where]))
    part.summary()


def test_one_of_a_batch_is_indexed_by_response():
    X, Y = draw((3,), m=(2,))
    result = gpuols.fit(X, Y, **OPTIONS)
    one = result[1][1]
    np.testing.assert_array_equal(one.params, result.params[1, :, 1])
    np.testing.assert_array_equal(one.normalized_cov, result.normalized_cov[1, 1])
    assert one.responses == ("y1",)
    with pytest.raises(IndexError):
        result[1, 1]
    with pytest.raises(TypeError, match="nothing to index"):
        one[0]


@pytest.mark.parametrize("lead", [(), (3,)])
def test_it_is_kept(lead, tmp_path):
    X, Y = draw(lead, m=(3,))
    result = gpuols.fit(X, Y, **OPTIONS)
    result.save(tmp_path / "r.npz")
    for kept in (gpuols.Result.load(tmp_path / "r.npz"), pickle.loads(pickle.dumps(result))):
        assert_same(kept, result)
        assert_same(kept[1], result[1])
        assert_equal_arrays(kept.conf_int(), result.conf_int())


def test_it_comes_as_torch_tensors():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    X, Y = draw(m=(3,))
    result = gpuols.fit(torch.tensor(X), torch.tensor(Y), **OPTIONS)
    plain = gpuols.fit(X, Y, **OPTIONS)
    for name in (*STATISTICS,):
        np.testing.assert_array_equal(getattr(result, name).numpy(), getattr(plain, name))
    np.testing.assert_array_equal(result.predict(torch.tensor(X)).numpy(), plain.predict(X))
    np.testing.assert_array_equal(result.t_test([0, 1, 0, 0]).sd, plain.t_test([0, 1, 0, 0]).sd)


def test_check_names_the_response():
    X, Y = draw((2,), m=(3,))
    Y = Y.copy()
    Y[1, :, 2] = np.nan
    with pytest.raises(gpuols.FitError, match=r"1 of 6 .* the first: \(1, 2\)"):
        gpuols.fit(X, Y, **OPTIONS).check()


def test_inputs_are_never_written():
    X, Y = draw((2,), m=(3,))
    w = np.ones((2, 60))
    w.flags.writeable = False
    before = X.copy(), Y.copy()
    gpuols.fit(X, Y, weights=w, **OPTIONS)
    gpuols.fit(X[0], Y[0], weights=w, **OPTIONS)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])
