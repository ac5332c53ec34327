"""LinearRegression: scikit-learn's contract, its answers, and arrays that it does not take."""

import os
import pickle
import re
import subprocess
import sys

import foreign
import numpy as np
import pandas as pd
import polars as pl
import pytest
from emulator import build
from foreign import normal
from sklearn import linear_model
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import gpuols
from gpuols import LinearRegression, estimator
from gpuols.engines import device, transfer


def whole_numbers(*shape, seed=0):
    """Small whole numbers, exact in float32."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(float)


def assert_same(got, want):
    """The same numbers to the bit, of the same dtype and shape."""
    np.testing.assert_array_equal(got, want, strict=True)


# scikit-learn's contract


@parametrize_with_checks(
    [
        LinearRegression(),
        LinearRegression(alpha=0.5, solver="accurate"),
        LinearRegression(False, singular="drop", batch_size=1),
    ]
)
def test_a_check_of_scikit_learn(estimator, check):
    check(estimator)


def test_check_estimator_passes_and_leaves_nothing_out():
    code = (
        "import gpuols\n"
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "found = check_estimator(gpuols.LinearRegression(), on_skip=None)\n"
        "print({check['status'] for check in found})"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "{'passed'}\n"


def test_coefficients_of_duplicated_columns_are_finite():
    half = normal(15, 15)
    model = LinearRegression().fit(np.hstack([half, half]), normal(15, seed=1))
    assert model.coef_.shape == (30,)
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_)
    assert model.rank_ == 14


def test_parameters_are_kept_as_they_are_until_fit():
    options = {
        "fit_intercept": "perhaps",
        "alpha": None,
        "solver": 1,
        "tol": "small",
        "singular": [],
        "device": 0,
        "batch_size": "all",
    }
    model = LinearRegression(**options)
    assert model.get_params() == clone(model).get_params() == options
    assert repr(LinearRegression(alpha=2.0)) == "LinearRegression(alpha=2.0)"


# scikit-learn's answers

X, Y, W = normal(40, 4), normal(40, 3, seed=1) + 5.0, np.abs(normal(40, seed=2))
ZERO_OR_ONE = (np.arange(40) % 3 < 2).astype(int)
CONSTANT = np.hstack([X, np.full((40, 1), 3.0)])
TWICE = np.hstack([X, X[:, :2]])
WIDE = normal(10, 25, seed=3)
COLUMN = "one column of targets"  # whose axis Ridge drops
DATA = {
    "one target": (X, Y[:, 0]),
    COLUMN: (X, Y[:, :1]),
    "several targets": (X, Y),
    "one feature": (X[:, :1], Y),
    "one sample": (X[:1], Y[:1]),
    "a constant column": (CONSTANT, Y),
    "duplicated columns": (TWICE, Y),
    "more features than samples": (WIDE, Y[:10]),
    "whole numbers": (whole_numbers(40, 3).astype(np.int16), whole_numbers(40, seed=1).astype(int)),
    "columns far from zero": (X + 1e4, Y),
}
intercepts = pytest.mark.parametrize("fit_intercept", [True, False])


def assert_agree(ours, theirs, x, rtol=1e-9):
    """The same coefficients, of the same types and shapes, and the same predictions."""
    scale = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol * scale, strict=True)
    assert type(ours.intercept_) is type(theirs.intercept_)
    span = max(np.abs(theirs.intercept_).max(initial=0), scale * np.abs(x).max())
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=rtol * span, strict=True)
    fitted = theirs.predict(x)
    np.testing.assert_allclose(ours.predict(x), fitted, atol=rtol * span, strict=True)
    assert ours.n_features_in_ == theirs.n_features_in_ == x.shape[1]


@pytest.mark.parametrize(("x", "y"), DATA.values(), ids=DATA)
@intercepts
@pytest.mark.parametrize("weights", [None, W, ZERO_OR_ONE], ids=["", "weights", "0 or 1"])
def test_agrees_with_linear_regression(x, y, fit_intercept, weights):
    w = None if weights is None else weights[: len(x)]
    ours = LinearRegression(fit_intercept).fit(x, y, w)
    theirs = linear_model.LinearRegression(fit_intercept=fit_intercept).fit(x, y, w)
    assert_agree(ours, theirs, x)
    assert ours.rank_ == theirs.rank_
    assert type(ours.rank_) is int


@pytest.mark.parametrize("case", [case for case in DATA if case != COLUMN])
@intercepts
@pytest.mark.parametrize("weights", [None, W], ids=["", "weights"])
@pytest.mark.parametrize("alpha", [1e-3, 10])
def test_agrees_with_ridge(case, fit_intercept, weights, alpha):
    x, y = DATA[case]
    w = None if weights is None else weights[: len(x)]
    ours = LinearRegression(fit_intercept, alpha=alpha).fit(x, y, w)
    theirs = linear_model.Ridge(alpha, fit_intercept=fit_intercept, solver="svd").fit(x, y, w)
    assert_agree(ours, theirs, x)


@intercepts
@pytest.mark.parametrize("y", [whole_numbers(40, seed=1), whole_numbers(40, 3, seed=1)])
def test_single_in_single_out(fit_intercept, y):
    x = whole_numbers(40, 4)
    double = LinearRegression(fit_intercept).fit(x, y)
    single = LinearRegression(fit_intercept).fit(x.astype(np.float32), y)
    theirs = linear_model.LinearRegression(fit_intercept=fit_intercept).fit(
        x.astype(np.float32), y.astype(np.float32)
    )
    assert_agree(single, theirs, x.astype(np.float32), rtol=1e-5)
    assert_same(single.coef_, double.coef_.astype(np.float32))
    assert_same(single.intercept_ + np.float32(0), np.float32(double.intercept_))
    for array in (x, x.astype(np.int8), x.astype(np.float16)):
        assert double.predict(array).dtype == np.float64
        assert single.predict(array).dtype == theirs.predict(array).dtype
    assert single.result_.params.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, bool, np.float16, np.longdouble, object])
def test_other_dtypes_in_double_out(dtype):
    x, y = whole_numbers(40, 3) > 0, whole_numbers(40, seed=1)
    model = LinearRegression().fit(x.astype(dtype), y)
    assert_same(model.coef_, LinearRegression().fit(x.astype(float), y).coef_)


def test_many_targets_are_one_fit():
    y = normal(40, 500)
    model = LinearRegression(alpha=0.1).fit(X, y)
    one_by_one = MultiOutputRegressor(LinearRegression(alpha=0.1)).fit(X, y[:, :3])
    np.testing.assert_allclose(model.coef_[:3], [one.coef_ for one in one_by_one.estimators_])
    assert len(model.result_) == 500


def test_numbers_are_those_of_fit():
    options = {"solver": "accurate", "tol": 1e-8, "singular": "drop", "device": "cpu:numpy"}
    model = LinearRegression(alpha=0.5, batch_size=2, **options).fit(TWICE, Y, W)
    want = gpuols.fit(TWICE, Y, weights=W, add_intercept=True, ridge=0.5, batch_size=2, **options)
    assert_same(model.result_.bse, want.bse)
    assert_same(model.coef_, want.params[1:].T)
    assert_same(model.intercept_, want.params[0])
    assert_same(model.predict(TWICE), want.predict(TWICE))
    assert model.result_.tol == 1e-8
    assert model.result_.singular == "drop"
    assert model.result_.solved_precisely.all()


def test_coefficients_own_their_memory():
    model = LinearRegression().fit(X, Y)
    before = model.result_.params.copy()
    model.coef_[:] = 0
    model.intercept_[:] = 0
    assert_same(model.result_.params, before)


def test_dropped_features_count_as_zero():
    model = LinearRegression(singular="drop").fit(TWICE, Y)
    assert np.isnan(model.coef_).sum(axis=1).tolist() == [2, 2, 2]
    assert_same(model.predict(TWICE), model.result_.predict(TWICE))
    assert np.isfinite(model.predict(TWICE)).all()


@intercepts
def test_a_rank_that_is_not_known(fit_intercept):
    model = LinearRegression(fit_intercept, solver="cholesky", singular="drop").fit(TWICE, Y)
    assert model.rank_ == -1


def test_redundant_features_may_be_an_error():
    with pytest.raises(gpuols.FitError, match="RANK_DEFICIENT"):
        LinearRegression(singular="raise").fit(TWICE, Y)


# Around it


def test_names_of_a_frame():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = LinearRegression().fit(frame, Y[:, 0], pd.Series(W))
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert model.result_.terms == ("Intercept", "a", "b", "c", "d")
    assert_same(model.coef_, LinearRegression().fit(X, Y[:, 0], W).coef_)
    assert_same(model.predict(frame), LinearRegression().fit(X, Y[:, 0], W).predict(X))
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c", "d"]])
    model.fit(X, Y[:, 0])
    assert not hasattr(model, "feature_names_in_")
    assert model.result_.terms[1:] == ("x0", "x1", "x2", "x3")


def test_a_frame_of_polars():
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    model = LinearRegression(False).fit(frame, pl.Series(Y[:, 0]))
    assert model.result_.terms == ("a", "b")
    assert_same(model.coef_, LinearRegression(False).fit(X[:, :2], Y[:, 0]).coef_)
    assert type(model.predict(frame)) is np.ndarray


@pytest.mark.parametrize("options", [{}, {"alpha": 0.5}])
@pytest.mark.parametrize("y", [Y[:, 0], Y])
def test_a_pickled_one_predicts_the_same(options, y):
    model = LinearRegression(**options).fit(X.astype(np.float32), y)
    again = pickle.loads(pickle.dumps(model))
    assert again.get_params() == model.get_params()
    for name in ("coef_", "intercept_"):
        assert_same(getattr(again, name), getattr(model, name))
    assert_same(again.predict(X), model.predict(X))
    assert_same(again.result_.pvalues, model.result_.pvalues)


def test_a_clone_is_not_fitted():
    model = clone(LinearRegression(alpha=0.5).fit(X, Y))
    assert model.alpha == 0.5
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_at_the_end_of_a_pipeline(container):
    frame = {"pandas": pd.DataFrame, "polars": pl.DataFrame}[container](
        {f"f{j}": X[:, j] for j in range(4)}
    )
    ours, theirs = (
        make_pipeline(StandardScaler(), model).set_output(transform=container)
        for model in (LinearRegression(), linear_model.LinearRegression())
    )
    ours.fit(frame, Y)
    theirs.fit(frame, Y)
    assert ours[-1].feature_names_in_.tolist() == ["f0", "f1", "f2", "f3"]
    assert type(ours.predict(frame)) is type(theirs.predict(frame)) is np.ndarray
    np.testing.assert_allclose(ours.predict(frame), theirs.predict(frame))
    np.testing.assert_allclose(ours.score(frame, Y), theirs.score(frame, Y))


@pytest.mark.parametrize("y", [Y[:, 0], Y])
def test_cross_validation_and_score(y):
    ours, theirs = LinearRegression(), linear_model.LinearRegression()
    np.testing.assert_allclose(cross_val_score(ours, X, y), cross_val_score(theirs, X, y))
    want = theirs.fit(X, y).score(X, y, W)
    np.testing.assert_allclose(ours.fit(X, y).score(X, y, W), want)
    assert ours.score(X, y) > ours.score(X, y[::-1])


def test_a_grid_search_over_penalties():
    x, y = np.hstack([X, X + 0.1 * normal(40, 4, seed=5)]), Y[:, 0]
    grid, folds = {"alpha": np.logspace(-3, 3, 7)}, KFold(4)
    ours = GridSearchCV(LinearRegression(), grid, cv=folds).fit(x, y)
    theirs = GridSearchCV(linear_model.Ridge(), grid, cv=folds).fit(x, y)
    assert ours.best_params_ == theirs.best_params_
    found, want = (search.cv_results_["mean_test_score"] for search in (ours, theirs))
    np.testing.assert_allclose(found, want)
    assert len(set(found)) == 7


# What can't be used


@pytest.mark.parametrize("argument", ["X", "y", "sample_weight"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_values_are_refused(argument, value):
    given = {"X": X.copy(), "y": Y.copy(), "sample_weight": W.copy()}
    given[argument][3] = value
    with pytest.raises(ValueError, match=argument):
        LinearRegression().fit(**given)
    if argument == "X":
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            LinearRegression().fit(X, Y).predict(given["X"])


@pytest.mark.parametrize(
    ("options", "weights", "words"),
    [
        ({"alpha": -1.0}, None, "^alpha: got a negative .* use alpha=0.0 for none"),
        ({"alpha": [1.0, 2.0, 3.0]}, None, r"^alpha: got shape \(3,\)"),
        ({"alpha": "much"}, None, "^alpha: got dtype"),
        ({"fit_intercept": 1}, None, "^fit_intercept: got 1.* write fit_intercept=True"),
        ({"solver": "qr"}, None, "^solver: got 'qr'"),
        ({"singular": "keep"}, None, "^singular: got 'keep'"),
        ({"tol": 0.0}, None, "^tol: got 0.0"),
        ({"batch_size": 0}, None, "^batch_size: got 0"),
        ({"device": "tpu"}, None, "^device: got 'tpu'"),
        ({}, -W, "^sample_weight: got negative values"),
        ({}, W[:9], "sample_weight"),
        ({}, np.ones((40, 3)), "1D array"),
        ({}, np.zeros(40), "[Ss]ample.weight.*(non-zero|positive)"),
    ],
)
def test_mistakes_are_told_in_the_names_of_the_estimator(options, weights, words):
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        LinearRegression(**options).fit(X, Y, weights)
    assert not re.search(r"\b(add_intercept|ridge|weights=)", str(caught.value))


# torch


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is an optional peer, not a dependency")


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
@pytest.mark.parametrize("y", [Y[:, 0], Y], ids=["one target", "several"])
@intercepts
def test_tensors_in_tensors_out(torch, dtype, y, fit_intercept):
    x = torch.tensor(10 * X).to(getattr(torch, dtype))
    model = LinearRegression(fit_intercept).fit(x, torch.tensor(y), torch.tensor(W))
    want = LinearRegression(fit_intercept).fit(x.numpy(), y, W)
    for got, wanted in (
        (model.coef_, want.coef_),
        (model.predict(x), want.predict(x.numpy())),
        *([(model.intercept_, want.intercept_)] if fit_intercept else []),
    ):
        assert type(got) is torch.Tensor
        assert_same(got.numpy(), np.asarray(wanted))
    assert type(model.predict(x.numpy())) is torch.Tensor
    assert (model.n_features_in_, model.rank_) == (want.n_features_in_, want.rank_)
    np.testing.assert_allclose(
        model.score(x, torch.tensor(y), torch.tensor(W)), want.score(x.numpy(), y, W)
    )
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize("argument", ["X", "y", "sample_weight"])
def test_one_tensor_is_enough(torch, argument):
    given = {"X": X, "y": Y, "sample_weight": W}
    want = LinearRegression().fit(**given)
    model = LinearRegression().fit(**given | {argument: torch.tensor(given[argument])})
    assert type(model.coef_) is torch.Tensor
    assert_same(model.coef_.numpy(), want.coef_)
    if argument != "X":
        frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
        model.fit(**given | {argument: torch.tensor(given[argument]), "X": frame})
        assert model.result_.terms[1:] == tuple(model.feature_names_in_) == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"X": X * np.nan}, "^X, y or sample_weight: got a NaN or an infinity"),
        ({"y": Y * [1.0, 1.0, np.nan]}, "^X, y or sample_weight: got a NaN or an infinity"),
        ({"y": Y * np.inf}, "^X, y or sample_weight: got a NaN or an infinity"),
        ({"sample_weight": W * np.nan}, "^X, y or sample_weight: got a NaN or an infinity"),
        ({"sample_weight": np.zeros(40)}, "^sample_weight: got no sample of positive weight"),
        ({"sample_weight": -W}, "^sample_weight: got negative values"),
        ({"sample_weight": np.ones((40, 40))}, r"^sample_weight: got shape \(40, 40\)"),
        ({"X": X[:, 0]}, r"^X: got shape \(40,\)"),
        ({"X": X[None], "y": Y[None]}, r"^X: got shape \(1, 40, 4\)"),
        ({"y": Y[:9]}, "^y: got 9 rows"),
        ({"X": X[:0], "y": Y[:0], "sample_weight": W[:0]}, "^X: got no samples"),
    ],
)
def test_mistakes_with_tensors(torch, change, words):
    given = {"X": X, "y": Y, "sample_weight": W} | change
    with pytest.raises(gpuols.InputError, match=words):
        LinearRegression().fit(**{name: torch.tensor(array) for name, array in given.items()})


def test_predictions_want_the_features_of_the_fit(torch):
    model = LinearRegression().fit(torch.tensor(X), torch.tensor(Y))
    for x, words in ((X[:, :3], "has 3 features"), (X * np.nan, "NaN"), (X[0], "2D array")):
        with pytest.raises(ValueError, match=words):
            model.predict(torch.tensor(x))


def test_no_target_no_coefficient(torch):
    model = LinearRegression().fit(torch.tensor(X), torch.tensor(Y[:, :0]))
    assert model.coef_.shape == (0, 4)
    assert model.predict(torch.tensor(X)).shape == (40, 0)


# Devices

emulated = pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")
kinds = pytest.mark.parametrize("kind", foreign.KINDS)


@pytest.fixture
def machine(monkeypatch):
    with foreign.two_devices(monkeypatch) as found:
        yield found


def there(array, kind, number):
    with device.on(number):
        return foreign.MAKERS[kind](device.upload(np.asarray(array)))


@emulated
@kinds
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_a_device_holds_is_fitted_there(machine, kind, number, dtype):
    x, y = X.astype(dtype), Y[:, 0]
    given = [there(array, kind, number) for array in (x, y, W)]
    model = LinearRegression().fit(*given)
    assert model.result_.engine.startswith("cuda")
    want = LinearRegression().fit(x, y, W)
    rtol = 1e-9 if dtype == np.float64 else 1e-6
    for got, wanted in (
        (model.coef_, want.coef_),
        (model.intercept_, want.intercept_),
        (model.predict(given[0]), want.predict(x)),
        (model.predict(x), want.predict(x)),
    ):
        array = foreign.inside(got)
        assert (foreign.kind_of(got), array.device.id) == (kind, number)
        np.testing.assert_allclose(transfer.to_host(array), wanted, rtol, rtol, strict=True)
    assert (model.n_features_in_, model.rank_) == (4, 4)
    np.testing.assert_allclose(model.score(*given), want.score(x, y, W), rtol=1e-6)


@emulated
def test_trouble_on_a_device_is_refused_there(machine):
    x, y = (there(array, "cupy", 1) for array in (X, Y[:, 0]))
    with pytest.raises(gpuols.InputError, match=r"^X, y or sample_weight: got a NaN"):
        LinearRegression().fit(x, there(Y[:, 0] * np.nan, "cupy", 1))
    with pytest.raises(gpuols.DeviceError, match=r"^sample_weight: got .* sample_weight = cupy\."):
        LinearRegression().fit(x, y, W)


@emulated
def test_duplicated_columns_on_a_device(machine):
    model = LinearRegression().fit(there(TWICE, "cupy", 0), there(Y[:, 0], "cupy", 0))
    want = linear_model.LinearRegression().fit(TWICE, Y[:, 0])
    np.testing.assert_allclose(transfer.to_host(model.coef_), want.coef_, rtol=1e-9)
    assert model.rank_ == 4


@emulated
def test_host_data_goes_to_a_device_that_is_named(machine):
    model = LinearRegression(device="cuda:1").fit(X, Y[:, 0])
    assert model.result_.engine.startswith("cuda")
    assert type(model.coef_) is type(model.predict(X)) is np.ndarray
    np.testing.assert_allclose(model.coef_, LinearRegression().fit(X, Y[:, 0]).coef_)


# The package's name for it


def test_the_package_hands_it_out():
    assert gpuols.LinearRegression is estimator.LinearRegression


def test_without_scikit_learn_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "gpuols.estimator")
    monkeypatch.delitem(vars(gpuols), "LinearRegression")
    with pytest.raises(ImportError, match=re.escape('pip install "gpuols[sklearn]"')):
        from gpuols import LinearRegression  # noqa: F401
    with pytest.raises(ImportError, match=re.escape('pip install "gpuols[sklearn]"')):
        _ = gpuols.LinearRegression


@pytest.mark.parametrize(
    ("X", "y", "options"),
    [
        (np.arange(6.0, dtype=np.float32)[:, None], np.arange(6.0) + 1e39, {}),
        (np.arange(6.0)[:, None] * 1e-310, np.arange(6.0), {}),
        (np.repeat(np.arange(6.0)[:, None], 2, axis=1), np.arange(6.0), {"solver": "cholesky"}),
    ],
    ids=["too large for float32", "too small features", "dependent features in double"],
)
def test_coefficients_that_are_not_finite_are_told(X, y, options):
    with pytest.raises(ValueError, match="rescale"):
        gpuols.LinearRegression(**options).fit(X, y)


def test_flags_of_numpy_are_flags():
    X, y = np.arange(6.0)[:, None], np.arange(6.0)
    assert gpuols.LinearRegression(fit_intercept=np.False_).fit(X, y).intercept_ == 0.0
