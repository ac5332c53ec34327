"""Results whose moments and solution lie on a CUDA device: statistics there, the rest as ever."""

import copy
import pickle
from dataclasses import replace

import foreign
import numpy as np
import pytest
from agreement import disagreements
from emulator import build
from foreign import normal

import gpuols
from gpuols import inference
from gpuols.engines import device, transfer

pytestmark = pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")

EXACT = (
    *("params", "bse", "tvalues", "ssr", "scale", "centered_tss", "uncentered_tss", "rsquared"),
    *("rsquared_adj", "fvalue", "llf", "aic", "bic", "nobs", "df_model", "df_resid", "rank"),
    *("status", "error_bound", "solved_precisely"),
)
PVALUES = ("pvalues", "log10_pvalues", "f_pvalue")
STATISTICS = (*EXACT, *PVALUES)


@pytest.fixture
def machine(monkeypatch):
    with foreign.two_devices(monkeypatch) as found:
        yield found


def fit(*lead, n=12, m=(), **options):
    return gpuols.fit(normal(*lead, n, 2), normal(*lead, n, *m, seed=1), **options)


def troubled(**options):
    """One regression of each status, and extreme columns."""
    X, y = normal(6, 12, 3), normal(6, 12, 2, seed=1)
    X[1, :, 2] = X[1, :, 1]
    X[2, 3, 0] = np.nan
    y[3, 0, 1] = np.inf
    X[4] *= [1e200, 1e-200, 1.0]
    X[5, :, 2] = X[5, :, 1] + 1e-9 * X[5, :, 2]
    y[5] = X[5, :, :2]
    return gpuols.fit(X, y, **options)


def gappy(**options):
    X, y = normal(3, 12, 2), normal(3, 12, 2, seed=1)
    y[0, :3, 0] = X[1, 5, 1] = np.nan
    y[2, 2:, 1] = np.nan
    return gpuols.fit(X, y, missing="drop", **options)


def grouped(m=(), keys="abc"):
    return gpuols.fit_groups(normal(30, 2), normal(30, *m, seed=1), np.repeat([*keys], 10))


RESULTS = {
    "one": lambda: fit(add_intercept=True),
    "one design": lambda: fit(m=(3,)),
    "a batch": lambda: fit(4, add_intercept=True, weights=np.abs(normal(12, seed=2))),
    "a batch with responses": lambda: fit(4, m=(2,), add_intercept=True),
    "a grid": lambda: fit(2, 3, m=(2,)),
    "a penalty": lambda: fit(4, ridge=0.5),
    "penalties": lambda: fit(4, add_intercept=True, ridge=np.array([0.0, 1.0, 2.0, 0.0])),
    "trouble": lambda: troubled(add_intercept=True),
    "trouble, shortest": lambda: troubled(singular="min_norm"),
    "trouble in double": lambda: troubled(solver="cholesky"),
    "double-double": lambda: fit(3, m=(2,), solver="accurate", add_intercept=True),
    "gaps": gappy,
    "gaps in one table": lambda: gpuols.fit(normal(12, 2), gaps(), missing="drop"),
    "groups": lambda: grouped(m=(2,)),
    "too few rows": lambda: fit(3, n=2),
    "no regression": lambda: fit(0),
    "no response": lambda: fit(3, m=(0,)),
    "no column": lambda: gpuols.fit(normal(3, 9, 0), normal(3, 9), add_intercept=True),
}
results = pytest.mark.parametrize("make", RESULTS.values(), ids=RESULTS)
kinds = pytest.mark.parametrize("kind", foreign.KINDS)


def gaps():
    y = normal(12, 3, seed=1)
    y[2, 1] = y[4:, 2] = np.nan
    return y


def regressions_last(array):
    """A device array, in memory as engines make it."""
    array = np.asarray(array)
    if not array.ndim:
        return device.upload(array)
    rest = tuple(range(1, array.ndim))
    return device.upload(array.transpose(*rest, 0)).transpose(
        array.ndim - 1, *range(array.ndim - 1)
    )


def moved(result, kind="cupy", number=0, upload=device.upload):
    """The same result as an engine on a device would make it."""
    with device.on(number):
        return replace(
            result,
            engine="cuda",
            kind=kind,
            place=f"cuda:{number}",
            _moments=result._moments.map(upload),
            _solution=result._solution.map(upload),
            _refined=result._refined and result._refined.map(upload),
        )


def assert_same(got, want, kind="cupy", number=0, rtol=0.0):
    """The same numbers, to the bit unless rtol is given, of a kind on a device."""
    assert foreign.kind_of(got) == kind
    array = foreign.inside(got)
    assert array.device.id == number
    want = np.asarray(want)
    found = transfer.to_host(array)
    assert (found.shape, found.dtype) == (want.shape, want.dtype)
    if rtol:
        np.testing.assert_allclose(found, want, rtol=rtol, atol=0)
    else:
        np.testing.assert_array_equal(found, want)


def assert_all_same(got, want, kind="cupy", number=0):
    for name in STATISTICS:
        rtol = 1e-12 if name in PVALUES else 0.0
        assert_same(getattr(got, name), getattr(want, name), kind, number, rtol)


@results
@pytest.mark.parametrize("upload", [device.upload, regressions_last])
def test_every_statistic_is_that_of_the_host(machine, make, upload):
    want = make()
    assert_all_same(moved(want, upload=upload), want)


@kinds
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("case", ["one", "a batch with responses", "gaps"])
def test_statistics_have_the_kind_and_the_place_that_came_in(machine, kind, number, case):
    want = RESULTS[case]()
    assert_all_same(moved(want, kind, number), want, kind, number)


@results
@pytest.mark.parametrize("name", STATISTICS)
def test_no_statistic_is_copied_to_the_host(machine, make, name):
    result = moved(make(), "torch", 1)
    getattr(result, name)
    assert machine.downloads == []


def test_a_statistic_is_computed_once(machine):
    result = moved(fit(4))
    assert result.bse is result.bse


def test_handed_out_arrays_can_be_written_to_alone(machine):
    result, want = moved(fit(3, m=(2,))), fit(3, m=(2,))
    result.nobs[0, 0] = 7.0
    assert transfer.to_host(result.nobs).tolist()[0] == [7.0, 12.0]
    assert_same(result.bic, want.bic)
    assert_same(result.df_model, want.df_model)


# What is computed on the host

CALLS = {
    "cov_params": lambda r: r.cov_params(),
    "normalized_cov": lambda r: r.normalized_cov,
    "t_test effect": lambda r: r.t_test(combination(r)).effect,
    "t_test sd": lambda r: r.t_test(combination(r)).sd,
    "t_test statistic": lambda r: r.t_test(combination(r)).statistic,
    "t_test pvalue": lambda r: r.t_test(combination(r)).pvalue,
    "t_test df": lambda r: r.t_test(combination(r)).df_denom,
    "f_test statistic": lambda r: r.f_test(combination(r)).statistic,
    "f_test pvalue": lambda r: r.f_test(combination(r)).pvalue,
}


def combination(result):
    return [1.0] + [0.0] * (len(result.terms) - 1)


@results
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_tests_and_covariances_are_those_of_the_host(machine, make, call):
    want = make()
    assert_same(call(moved(want)), call(want))


@kinds
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("case", ["one", "a batch with responses", "gaps"])
def test_what_the_host_computes_is_handed_out_there(machine, kind, number, case):
    want = RESULTS[case]()
    got = moved(want, kind, number)
    for call in CALLS.values():
        assert_same(call(got), call(want), kind, number)
    assert got.f_test(combination(got)).df_num == 1
    assert got.t_test(combination(got)).df_num is None


def test_the_host_is_given_one_copy(machine):
    result = moved(RESULTS["trouble"]())
    _ = result.normalized_cov
    before = len(machine.downloads)
    result.cov_params(), result.t_test([1.0, 0.0, 0.0, 0.0]), result.summary(), result.predict(X3)
    assert len(machine.downloads) == before


X3 = normal(12, 3)


def test_weights_of_combinations_may_lie_on_a_device(machine):
    want = fit(4)
    with device.on(1):
        weights = device.upload(np.array([1.0, -1.0]))
    assert_same(moved(want).t_test(weights).effect, want.t_test([1.0, -1.0]).effect)
    np.testing.assert_array_equal(want.t_test(weights).effect, want.t_test([1.0, -1.0]).effect)


@results
@pytest.mark.parametrize("alpha", [0.05, 0.9])
def test_intervals_are_those_of_the_host(machine, make, alpha):
    want = make()
    assert_same(moved(want).conf_int(alpha), want.conf_int(alpha))


@kinds
def test_intervals_copy_distinct_degrees_of_freedom_only(machine, kind):
    want = RESULTS["gaps"]()
    found = moved(want, kind, 1).conf_int()
    assert machine.downloads == [8 * len(np.unique(want.df_resid))]
    assert_same(found, want.conf_int(), kind, 1)


@pytest.mark.parametrize("probability", [0.025, 0.5, 0.999])
def test_quantiles_are_those_of_each_number_alone(probability):
    df = np.array([[3.0, 2.5, np.nan, 3.0], [0.0, -1.0, np.inf, 1e9]])
    found = inference.t_quantile_where(probability, df)
    np.testing.assert_array_equal(found, inference.t_quantile(probability, df))
    assert found.shape == df.shape


T = np.concatenate([[0.0, 1e-200, np.inf, np.nan], np.geomspace(1e-9, 1e9, 37)])[:, None]
DF = np.concatenate([[0.3, 1.0, 2.5, 1e4, 1e9, 0.0, -1.0, np.inf, np.nan], np.arange(3.0, 40.0)])


@pytest.mark.parametrize("function", [inference.t_pvalues, inference.t_log10_pvalues])
def test_tails_of_t_are_those_of_the_host(machine, function):
    found = function(device.upload(-T), device.upload(DF))
    assert machine.downloads == []
    assert_close(found, function(-T, DF))


def assert_close(found, want):
    """As near as the docstrings say of a device, but for what is CuPy's own."""
    found, rtol = transfer.to_host(found), 1e-12 + 1e-16 * np.fmax(DF, 0)
    with np.errstate(invalid="ignore"):
        near = (np.abs(found - want) <= rtol * np.abs(want)) | (found == want) | np.isnan(found)
    assert near.all(), (found[~near], want[~near])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(want))


@pytest.mark.parametrize("num", [1.0, 2.0, 7.5, 1e5])
def test_tails_of_f_are_those_of_the_host(machine, num):
    given = T, np.full(DF.shape, num), DF
    found = inference.f_pvalues(*map(device.upload, given))
    assert_close(found, inference.f_pvalues(*given))


def test_predictions_are_those_of_the_host(machine):
    for case in ("one", "one design", "a batch", "a batch with responses", "gaps"):
        want = RESULTS[case]()
        lead = want._moments.batch
        X, y = normal(*lead, 5, 2), normal(*lead, 5, *want.params.shape[len(lead) + 1 :], seed=3)
        got = moved(want, "torch", 1)
        for there in (lambda a: a, device.upload):
            assert_same(got.predict(there(X)), want.predict(X), "torch", 1)
            assert_same(got.resid(there(X), there(y)), want.resid(X, y), "torch", 1)
            np.testing.assert_array_equal(want.predict(there(X)), want.predict(X))


def test_groups_are_predicted_from_keys_anywhere(machine):
    want = gpuols.fit_groups(normal(30, 2), normal(30, seed=1), np.repeat([1, 2, 5], 10))
    got, keys = moved(want), np.array([5, 1, 1, 4])
    X, y = normal(4, 2), normal(4, seed=1)
    for groups in (keys, device.upload(keys), foreign.Tensor(device.upload(keys))):
        assert_same(got.predict(X, groups), want.predict(X, keys))
        assert_same(got.resid(X, y, groups), want.resid(X, y, keys))


# Text, checks, lengths


@results
def test_text_is_that_of_the_host(machine, make):
    want = replace(make(), engine="cuda")
    got = moved(want)
    assert repr(got) == repr(want)
    assert got.summary() == want.summary()
    assert got.responses == want.responses


def test_status_alone_is_copied_to_be_counted(machine):
    result = moved(fit(4), "torch", 1)
    assert repr(result) == "Result(4 regressions: 4 OK; p=2, engine='cuda')"
    assert result.check() is result
    assert machine.downloads == [4, 4]


@pytest.mark.parametrize("case", ["trouble", "gaps", "too few rows"])
def test_what_is_not_ok_is_told_as_on_the_host(machine, case):
    want = RESULTS[case]()
    with pytest.raises(gpuols.FitError) as told:
        want.check()
    with pytest.raises(gpuols.FitError) as caught:
        moved(want).check()
    assert str(caught.value) == str(told.value)


def test_lengths_need_no_copy(machine):
    assert [len(moved(RESULTS[name]())) for name in ("a grid", "one design", "groups")] == [2, 3, 3]
    with pytest.raises(TypeError, match="no length"):
        len(moved(fit()))
    assert machine.downloads == []


# Parts

WHERE = {
    "a number": 2,
    "from the end": -1,
    "a NumPy number": np.int64(1),
    "a slice": slice(None, None, 2),
    "backwards": slice(None, None, -1),
    "nothing": slice(0, 0),
    "a list": [3, 0, 0],
    "places": np.array([1, 3]),
    "a table of places": np.array([[1, 3], [0, 0]]),
    "a mask": np.array([True, False, True, True]),
    "all": ...,
    "a tuple": (slice(1, 3),),
}


@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
@pytest.mark.parametrize("make", [lambda: fit(4, m=(2,)), lambda: fit(4, ridge=np.arange(4.0))])
def test_parts_are_those_of_the_host_and_stay_where_they_are(machine, make, where):
    want = make()
    for got in (moved(want, "torch", 1), moved(want, "torch", 1, regressions_last)):
        assert_all_same(got[where], want[where], "torch", 1)


@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
def test_places_are_copied_to_the_device_and_nothing_back(machine, where):
    _ = moved(fit(4, m=(2,)), number=1)[where].bse
    assert machine.downloads == []


@pytest.mark.parametrize("where", [(1, 2), (slice(None), [0, 2]), (0,), np.eye(2, 3) > 0])
def test_parts_of_a_grid(machine, where):
    want = fit(2, 3, m=(2,))
    assert_all_same(moved(want, number=1)[where], want[where], number=1)


@pytest.mark.parametrize("where", [1, slice(1, None), [2, 0], np.array([False, True, True])])
@pytest.mark.parametrize("case", ["one design", "gaps in one table"])
def test_responses_of_one_design(machine, where, case):
    want = RESULTS[case]()
    got = moved(want, number=1)[where]
    assert_all_same(got, want[where], number=1)
    assert got.responses == want[where].responses


def test_troubled_parts_keep_their_second_look(machine):
    want = RESULTS["trouble"]()
    assert want._refined is not None
    for where in (4, [5, 1], slice(3, None)):
        assert_same(moved(want)[where].cov_params(), want[where].cov_params())


@kinds
def test_indices_may_lie_on_the_device(machine, kind):
    want = troubled()
    result = moved(want, kind, 1)
    with device.on(1):
        mask = foreign.MAKERS[kind](device.upload((want.status == 0).all(axis=-1)))
        places = foreign.MAKERS[kind](device.upload(np.array([3, 0])))
    assert_all_same(result[mask], want[(want.status == 0).all(axis=-1)], kind, 1)
    assert_all_same(result[places], want[[3, 0]], kind, 1)
    assert_all_same(result[(places,)], want[[3, 0]], kind, 1)


def test_keys_follow_indices_on_the_device(machine):
    want = grouped(m=(2,))
    got = moved(want)[device.upload(np.array([2, 0]))]
    assert got.keys.tolist() == ["c", "a"]
    one = gpuols.fit(normal(12, 2), normal(12, 3), names=["a", "b"])
    assert moved(one)[device.upload(np.array([2, 0]))].responses == ("y2", "y0")


# Kept


@results
@pytest.mark.parametrize("touched", [False, True])
def test_kept_results_are_on_the_host(machine, make, touched, tmp_path):
    want = replace(make(), engine="cuda")
    result = moved(want, "torch", 1)
    if touched:
        result.summary()
        _ = result.bse
    result.save(tmp_path / "result.npz")
    for again in (
        gpuols.Result.load(tmp_path / "result.npz"),
        pickle.loads(pickle.dumps(result)),
    ):
        assert (again.kind, again.place, again.engine) == ("numpy", "cpu", "cuda")
        for name in STATISTICS:
            np.testing.assert_array_equal(getattr(again, name), getattr(want, name))
        np.testing.assert_array_equal(again.cov_params(), want.cov_params())
        assert again.summary() == want.summary()


@results
@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy])
def test_copies_stay_where_they_are(machine, make, make_copy):
    want = make()
    result = moved(want, "torch", 1)
    again = make_copy(result)
    assert machine.downloads == []
    assert_all_same(again, want, "torch", 1)
    shared = again._solution.params is result._solution.params
    assert shared == (make_copy is copy.copy)


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy])
def test_copies_on_the_host_are_whole(make_copy):
    want = troubled()
    again = make_copy(want)
    for name in STATISTICS:
        np.testing.assert_array_equal(getattr(again, name), getattr(want, name))
    assert (again._solution.params is want._solution.params) == (make_copy is copy.copy)


# From the call to the result


@kinds
@pytest.mark.parametrize("number", [0, 1])
def test_a_call_hands_out_what_came_in(machine, kind, number):
    X, y, w = normal(4, 12, 2), normal(4, 12, 2, seed=1), np.abs(normal(12, seed=2))
    want = gpuols.fit(X, y, weights=w, add_intercept=True, ridge=0.5, missing="raise")
    with device.on(number):
        given = [foreign.MAKERS[kind](device.upload(a)) for a in (X, y, w)]
        before = [transfer.to_host(a) for a in given]
    got = gpuols.fit(
        given[0], given[1], weights=given[2], add_intercept=True, ridge=0.5, missing="raise"
    )
    assert (got.kind, got.place, got.engine) == (kind, f"cuda:{number}", f"cuda:{number}")
    assert disagreements(got, want) == []
    for now, then in zip(given, before, strict=True):
        np.testing.assert_array_equal(transfer.to_host(now), then)
    with device.on(number):
        twice = foreign.MAKERS[kind](device.upload(X[..., :1].repeat(2, axis=-1)))
    with pytest.raises(gpuols.FitError, match="8 RANK_DEFICIENT"):
        gpuols.fit(twice, given[1], singular="raise")
