"""Every mistake in the shape or value of what a call is given, and what its message says."""

import re

import numpy as np
import pytest

import gpuols
from gpuols import DeviceError, InputError, InputTypeError, fit, fit_groups, fit_moments, moments


def ones(*shape):
    array = np.ones(shape)
    array.setflags(write=False)
    return array


X, y, Y = ones(6, 2), ones(6), ones(6, 3)
BATCH, ROWS = ones(4, 6, 2), ones(4, 6)
KEYS = np.arange(6) % 2


def holed(shape, *places):
    array = np.ones(shape)
    for place in places:
        array[place] = np.nan
    array.setflags(write=False)
    return array


# What a mistake is, the call that makes it, the error, and what its message must hold: the
# argument first, then what came, what was expected, and what to do.
MISTAKES = {
    # axes of X and y
    "X of one axis": (lambda: fit(y, y), InputError, "X|(6,)|(..., n, k)|X[:, None]"),
    "X of no axis": (lambda: fit(3.0, y), InputError, "X|()|(..., n, k)"),
    "y of too few axes": (lambda: fit(BATCH, y), InputError, "y|(6,)|(4, 6, 2)|(..., n)|y[None]"),
    "y of no axis": (lambda: fit(X, 1.0), InputError, "y|()|(n)|(n, m)"),
    "y of too many axes, X a batch": (
        lambda: fit(BATCH, ones(2, 4, 6, 3)),
        InputError,
        "y|(2, 4, 6, 3)|(4, 6, 2)|(..., n, m)|X[None]",
    ),
    "an image a row": (
        lambda: fit(X, ones(6, 4, 5)),
        InputError,
        "y|(6, 4, 5)|(6, 2)|(n) |(n, m)|reshape(len(y), -1)",
    ),
    # rows
    "another n": (lambda: fit(X, ones(5)), InputError, "y|5 rows|(5,)|6|(6, 2)|same rows"),
    "another n with responses": (lambda: fit(X, ones(5, 3)), InputError, "y|5 rows|(5, 3)|6|rows"),
    "responses as rows": (
        lambda: fit(X, ones(3, 6)),
        InputError,
        "y|3 rows|(3, 6)|6|(6, 2)|y.T|X[None]",
    ),
    "X transposed": (lambda: fit(ones(2, 6), y[:6]), InputError, "y|6 rows|2|(2, 6)|X.T"),
    "X transposed, Y": (lambda: fit(ones(2, 6), Y), InputError, "y|6 rows|(6, 3)|2|(2, 6)|X.T"),
    "another n in a batch": (lambda: fit(BATCH, ones(4, 7)), InputError, "y|7 rows|(4, 7)|6 "),
    "no rows in y alone": (lambda: fit(X, ones(0)), InputError, "y|0 rows|(0,)|6 "),
    # leading axes
    "another batch": (
        lambda: fit(BATCH, ones(3, 6)),
        InputError,
        "y|(4,)|(3,)|broadcast|length 1|which axis",
    ),
    "another batch with responses": (
        lambda: fit(BATCH, ones(3, 6, 2)),
        InputError,
        "y|(4,)|(3,)|broadcast",
    ),
    "another batch, weights innocent": (
        lambda: fit(BATCH, ones(3, 6), weights=y),
        InputError,
        "y|(4,)|(3,)|broadcast",
    ),
    "another batch of weights": (
        lambda: fit(BATCH, ROWS, weights=ones(3, 6)),
        InputError,
        "weights|(4,)|(3,)|broadcast",
    ),
    "axes crossed": (
        lambda: fit(ones(4, 2, 6, 2), ones(2, 4, 6)),
        InputError,
        "y|(4, 2)|(2, 4)|broadcast",
    ),
    # weights
    "weights of another n": (
        lambda: fit(X, y, weights=ones(5)),
        InputError,
        "weights|(5,)|(..., 6)|one a row",
    ),
    "weights with a column axis": (
        lambda: fit(X, y, weights=ones(6, 1)),
        InputError,
        "weights|(6, 1)|(..., 6)|axis of columns",
    ),
    "one weight": (lambda: fit(X, y, weights=2.0), InputError, "weights|()|(..., 6)|row"),
    "a negative weight": (
        lambda: fit(X, y, weights=[1, 1, -0.5, 1, 1, -2]),
        InputError,
        "weights|negative|-2|>= 0|zero",
    ),
    "a negative whole weight": (
        lambda: fit(X, y, weights=[1, 1, -1, 1, 1, 1]),
        InputError,
        "weights|negative|-1|>= 0|zero",
    ),
    "an infinitely negative weight": (
        lambda: fit(X, y, weights=[1, 1, -np.inf, 1, 1, 1]),
        InputError,
        "weights|negative|-inf|>= 0",
    ),
    "a negative weight beside a missing one": (
        lambda: fit(X, y, weights=[np.nan, 1, -1, 1, 1, 1]),
        InputError,
        "weights|negative|-1|>= 0|zero",
    ),
    # ridge
    "a negative ridge": (lambda: fit(X, y, ridge=-1.0), InputError, "ridge|negative|>= 0|ridge=0"),
    "one negative ridge": (
        lambda: fit(BATCH, ROWS, ridge=[0, 1, -1, 2]),
        InputError,
        "ridge|negative|>= 0",
    ),
    "a ridge of nan": (lambda: fit(X, y, ridge=np.nan), InputError, "ridge|non-finite|>= 0"),
    "a ridge of inf": (lambda: fit(X, y, ridge=np.inf), InputError, "ridge|non-finite|>= 0"),
    "a ridge a coefficient": (
        lambda: fit(BATCH, ROWS, ridge=[1.0, 2.0]),
        InputError,
        "ridge|(2,)|broadcasts to (4,)|one penalty",
    ),
    "a ridge a response": (
        lambda: fit(X, Y, ridge=[1.0, 2.0, 3.0]),
        InputError,
        "ridge|(3,)|scalar|()|one penalty",
    ),
    "a ridge wider than the batch": (
        lambda: fit(BATCH[:1], ROWS[:1], ridge=[1.0, 2.0]),
        InputError,
        "ridge|(2,)|(1,)",
    ),
    "a ridge of words": (lambda: fit(X, y, ridge="much"), InputTypeError, "ridge|<U4|real"),
    "a ridge of None": (lambda: fit(X, y, ridge=None), InputTypeError, "ridge|object|real"),
    # names
    "a name too few": (lambda: fit(X, y, names=["a"]), InputError, "names|1 name|2|intercept"),
    "a name for the intercept": (
        lambda: fit(X, y, add_intercept=True, names=["one", "a", "b"]),
        InputError,
        "names|3 names|2|leave out the intercept",
    ),
    "a repeated name": (
        lambda: fit(X, y, names=["a", "a"]),
        InputError,
        "names|['a', 'a']|each name once|rename",
    ),
    "one string of names": (
        lambda: fit(X, y, names="ab"),
        InputTypeError,
        "names|'ab'|list of strings|names=[",
    ),
    "a number of names": (lambda: fit(X, y, names=2), InputTypeError, "names|2|list of strings"),
    "a name that is a number": (
        lambda: fit(X, y, names=["a", 1]),
        InputTypeError,
        "names|1|strings only|str()",
    ),
    # options
    "add_intercept=1": (
        lambda: fit(X, y, add_intercept=1),
        InputTypeError,
        "add_intercept|1|True or False|add_intercept=True",
    ),
    "add_intercept=None": (
        lambda: fit(X, y, add_intercept=None),
        InputTypeError,
        "add_intercept|None|True or False",
    ),
    "missing='foo'": (
        lambda: fit(X, y, missing="foo"),
        InputError,
        "missing|'foo'|one of|'nan'|'raise'|choose",
    ),
    "missing=None": (lambda: fit(X, y, missing=None), InputError, "missing|None|one of|'nan'"),
    "missing=[...]": (lambda: fit(X, y, missing=["nan"]), InputError, "missing|['nan']|one of"),
    "missing=array": (
        lambda: fit(X, y, missing=np.array(["nan", "raise"])),
        (InputError, InputTypeError),
        "missing|array|one of",
    ),
    "tol=0": (lambda: fit(X, y, tol=0), InputError, "tol|0|positive|tol=1e-8"),
    "tol=-1": (lambda: fit(X, y, tol=-1.0), InputError, "tol|-1.0|positive|tol=1e-8"),
    "tol=nan": (lambda: fit(X, y, tol=np.nan), InputError, "tol|nan|positive|tol=1e-8"),
    "tol=inf": (lambda: fit(X, y, tol=np.inf), InputError, "tol|inf|positive|tol=1e-8"),
    "tol='x'": (lambda: fit(X, y, tol="x"), InputTypeError, "tol|'x'|number|tol=1e-8"),
    "tol=None": (lambda: fit(X, y, tol=None), InputTypeError, "tol|None|number|tol=1e-8"),
    "tol=True": (lambda: fit(X, y, tol=True), InputTypeError, "tol|True|number|tol=1e-8"),
    "device='gpu'": (
        lambda: fit(X, y, device="gpu"),
        InputError,
        "device|'gpu'|one of|'auto'|'cpu'|'cuda'|choose",
    ),
    "device='CPU'": (lambda: fit(X, y, device="CPU"), InputError, "device|'CPU'|'cpu'"),
    "device='cuda:x'": (lambda: fit(X, y, device="cuda:x"), InputError, "device|'cuda:x'|'cuda:1'"),
    "device='cpu:1'": (lambda: fit(X, y, device="cpu:1"), InputError, "device|'cpu:1'|'cpu:numpy'"),
    "device=0": (lambda: fit(X, y, device=0), InputTypeError, 'device|0|a string|device="cpu"'),
    "batch_size=0": (
        lambda: fit(X, y, batch_size=0),
        InputError,
        "batch_size|0|at least 1|leave it out",
    ),
    "batch_size=-5": (lambda: fit(X, y, batch_size=-5), InputError, "batch_size|-5|at least 1"),
    "batch_size=1.5": (
        lambda: fit(X, y, batch_size=1.5),
        InputTypeError,
        "batch_size|1.5|an integer or None|batch_size=1000",
    ),
    "batch_size=True": (
        lambda: fit(X, y, batch_size=True),
        InputTypeError,
        "batch_size|True|an integer or None",
    ),
    "batch_size='8'": (lambda: fit(X, y, batch_size="8"), InputTypeError, "batch_size|'8'|integer"),
    "progress=3": (
        lambda: fit(X, y, progress=3),
        InputTypeError,
        "progress|3|(done, total)|progress=True",
    ),
    "progress=None": (lambda: fit(X, y, progress=None), InputTypeError, "progress|None|True"),
    # tables
    "a batch as a table": (
        lambda: fit_groups(BATCH, ROWS, KEYS),
        InputError,
        "X|(4, 6, 2)|(N, k)|gpuols.fit",
    ),
    "batched weights of a table": (
        lambda: fit_groups(X, y, KEYS, weights=ROWS),
        InputError,
        "weights|(4, 6)|(6,)|one weight a row",
    ),
    "a ridge a row": (
        lambda: fit_groups(X, y, KEYS, ridge=ones(6)),
        InputError,
        "ridge|(6,)|(2,)|one for each",
    ),
    # moments
    "moments of the wrong kind": (
        lambda: fit_moments(X),
        InputTypeError,
        "moments|ndarray|Moments|gpuols.moments(X, y)",
    ),
    "moments without an intercept": (
        lambda: fit_moments(moments(X, y), add_intercept=True),
        InputError,
        "add_intercept|True|False|gpuols.moments(|add_intercept=True",
    ),
    "moments and a name too many": (
        lambda: fit_moments(moments(X, y), names=["a", "b", "c"]),
        InputError,
        "names|3 names|2|intercept",
    ),
    "a ridge that moments don't have": (
        lambda: fit_moments(moments(BATCH, ROWS), ridge=[1.0, 2.0]),
        InputError,
        "ridge|(2,)|(4,)",
    ),
    "moments of another batch added": (
        lambda: moments(X, y) + moments(BATCH, ROWS),
        InputError,
        "moments|batch|(4,)|()|same regressions",
    ),
    "moments about the mean and about zero added": (
        lambda: moments(X, y) + moments(X, y, add_intercept=True),
        InputError,
        "moments|add_intercept|True|False|same options",
    ),
    "moments of more columns added": (
        lambda: moments(X, y) + moments(ones(6, 3), y),
        InputError,
        "moments|columns|3|2|same regressions",
    ),
    "moments of more responses added": (
        lambda: moments(X, Y) + moments(X, Y[:, :2]),
        InputError,
        "moments|responses|2|3|same regressions",
    ),
    # new rows
    "new rows of one axis": (lambda: fit(X, y).predict(y), InputError, "X|(6,)|(..., n, 2)"),
    "new rows with the ones": (
        lambda: fit(X, y, add_intercept=True).predict(ones(6, 3)),
        InputError,
        "X|(6, 3)|(..., n, 2)|column of ones",
    ),
    "new rows of another batch": (
        lambda: fit(BATCH, ROWS).predict(ones(3, 6, 2)),
        InputError,
        "X|(3, 6, 2)|(4,)|broadcast|(n, k)",
    ),
    "residuals of other rows": (
        lambda: fit(BATCH, ROWS).resid(BATCH, ones(4, 5)),
        InputError,
        "y|(4, 5)|(4, 6)|rows of X",
    ),
    "residuals with an axis too many": (
        lambda: fit(X, y).resid(X, Y),
        InputError,
        "y|(6, 3)|(6,)",
    ),
    "groups where there were none": (
        lambda: fit(X, y).predict(X, groups=KEYS),
        InputError,
        "groups|keys|none|leave",
    ),
    # contrasts and intervals
    "R of too few weights": (lambda: fit(X, y).t_test([1]), InputError, "R|(1, 1)|(2,)|intercept"),
    "R of three axes": (lambda: fit(X, y).f_test(ones(1, 1, 2)), InputError, "R|(1, 1, 2)|(r, 2)"),
    "R of dependent rows": (
        lambda: fit(X, y).f_test([[1, 0], [2, 0]]),
        InputError,
        "R|2 rows|rank 1|independent|redundant",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_message_names_the_argument_what_came_what_was_expected_and_the_mend(mistake):
    call, kind, words = MISTAKES[mistake]
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    argument, *others = words.split("|")
    assert message.startswith(f"{argument}: got ")
    assert ", expected " in message
    assert "; " in message
    for word in others:
        assert word in message


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_value_or_type_errors_with_parts(mistake):
    with pytest.raises((ValueError, TypeError)) as caught:
        MISTAKES[mistake][0]()
    error = caught.value
    parts = (error.argument, error.came, error.expected, error.remedy)
    assert all(part and isinstance(part, str) for part in parts)
    assert str(error) == "{}: got {}, expected {}; {}".format(*parts)


@pytest.mark.parametrize(
    ("device", "reason"),
    [("cuda", "cuda"), ("cuda:0", "cuda"), ("cuda:17", "cuda"), ("cpu:numba", "compiled")],
)
@pytest.mark.parametrize("call", [fit, moments])
def test_a_device_that_is_not_there_says_why(call, device, reason):
    state = gpuols.info().engines[device.rstrip(":0123456789")]
    if state.startswith("ready"):
        pytest.skip(f"{device} is there")
    with pytest.raises(DeviceError) as caught:
        call(X, y, device=device)
    message = str(caught.value)
    assert message.startswith(f"device: got {device!r}")
    for word in (reason, state, "expected", "auto"):
        assert word in message


@pytest.mark.parametrize("device", ["auto", "cpu", "cpu:numpy"])
def test_devices_that_are_there_run(device):
    assert fit(X, y, device=device).engine.endswith("cpu:numpy")


REFUSED_MISSING = {
    "in X": (holed((4, 6, 2), (2, 1, 1), (3, 0, 0)), ROWS, None, "X|2 missing|(2, 1, 1)"),
    "in y": (BATCH, holed((4, 6), (1, 5)), None, "y|1 missing|(1, 5)"),
    "in Y": (X, holed((6, 3), (0, 2), (4, 0), (4, 1)), None, 'y|3 missing|(0, 2)|missing="drop"'),
    "in weights": (X, y, holed(6, 3), "weights|1 missing|(3,)"),
    "X before y": (holed((6, 2), (5, 0)), holed(6, 0), None, "X|1 missing|(5, 0)"),
    "many": (holed((6, 2), ...), y, None, "X|12 missing|(0, 0)"),
    "thousands": (np.full((5000, 1), np.nan), ones(5000), None, "X|5,000 missing|(0, 0)"),
    "float32": (holed((6, 2), (1, 1)).astype("f4"), y, None, "X|1 missing|(1, 1)"),
}


@pytest.mark.parametrize("case", REFUSED_MISSING)
def test_missing_raise_says_how_many_and_where_the_first_is(case):
    x, responses, weights, words = REFUSED_MISSING[case]
    with pytest.raises(InputError) as caught:
        fit(x, responses, weights=weights, missing="raise")
    message = str(caught.value)
    argument, *others = words.split("|")
    assert message.startswith(f"{argument}: got ")
    for word in (*others, 'missing="raise"', 'missing="nan"', 'missing="drop"'):
        assert word in message


@pytest.mark.parametrize("first", [(2, 7, 1), (0, 9, 0)])
def test_missing_values_are_found_in_millions_of_rows(first):
    x = np.zeros((3, 2**20, 2), np.float32)
    x[first] = x[2, 8, 0] = np.nan
    with pytest.raises(InputError, match=rf"X: got 2 missing .*{re.escape(str(first))}"):
        fit(x, np.zeros((3, 2**20), bool), missing="raise")


LAID_OUT = {
    "side by side": lambda w: w,
    "the other way round": lambda w: np.asfortranarray(w),
    "every other one": lambda w: np.repeat(w, 2, axis=1)[:, ::2],
    "backwards": lambda w: np.flip(np.flip(w).copy()),
}


@pytest.mark.parametrize("hidden", [(0, 0), (899, 1_499), (450, 700)])
@pytest.mark.parametrize("layout", LAID_OUT)
def test_a_negative_weight_is_found_among_a_million(layout, hidden):
    weights = np.ones((900, 1_500))
    weights[3, 3], weights[hidden] = np.nan, -0.25
    with pytest.raises(InputError, match=r"weights: .* the lowest -0\.25,"):
        fit(ones(1_500, 2), ones(1_500), weights=LAID_OUT[layout](weights))


def test_a_negative_weight_is_found_among_those_that_are_the_same_for_all():
    weights = np.ones(1_500)
    weights[700] = -0.25
    with pytest.raises(InputError, match=r"weights: .* the lowest -0\.25,"):
        fit(ones(1_500, 2), ones(1_500), weights=np.broadcast_to(weights, (900, 1_500)))


@pytest.mark.parametrize("kind", ["b1", "i4", "f8"])
def test_missing_raise_lets_whole_numbers_through(kind):
    x = np.array([[1, 0], [0, 1], [1, 1]], kind)
    want = fit(x, np.array([1, 2, 4]))
    got = fit(x, np.array([1, 2, 4]), missing="raise")
    np.testing.assert_array_equal(got.params, want.params)


@pytest.mark.parametrize("call", [moments, lambda *a, **k: fit_groups(*a, KEYS, **k)])
def test_every_verb_refuses_missing_values_when_told_to(call):
    with pytest.raises(InputError, match=r"X: got 1 missing .* \(2, 1\)"):
        call(holed((6, 2), (2, 1)), y, missing="raise")


def test_missing_nan_flags_only_the_regressions_it_is_in():
    x = holed((4, 6, 2), (2, 0, 1))
    rng = np.random.default_rng(0)
    x = x * rng.normal(size=x.shape)
    responses = rng.normal(size=(4, 6))
    got, want = fit(x, responses), fit(np.nan_to_num(x), responses)
    assert got.status.tolist() == [0, 0, gpuols.Status.NONFINITE, 0]
    assert np.isnan(got.params[2]).all()
    others = [0, 1, 3]
    assert got.params[others].tobytes() == want.params[others].tobytes()


def test_inf_is_not_missing_but_flags_its_regression():
    x = ones(6, 1) * np.array([[np.inf], [1], [2], [3], [4], [5]])
    assert fit(x, y, missing="raise").status == gpuols.Status.NONFINITE


SHAPES = {
    "one": ((6, 2), (6,), None, (), ()),
    "one design": ((6, 2), (6, 3), None, (), (3,)),
    "a batch": ((4, 6, 2), (4, 6), None, (4,), ()),
    "a batch of responses": ((4, 6, 2), (4, 6, 3), None, (4,), (3,)),
    "many axes": ((4, 5, 6, 2), (4, 5, 6), None, (4, 5), ()),
    "X spread": ((1, 6, 2), (4, 6), None, (4,), ()),
    "y spread": ((4, 6, 2), (1, 6), None, (4,), ()),
    "axes crossed": ((4, 1, 6, 2), (5, 6), None, None, None),
    "outer product": ((4, 1, 6, 2), (1, 5, 6), None, (4, 5), ()),
    "weights make the batch": ((6, 2), (6,), (4, 6), (4,), ()),
    "weights make the batch of responses": ((6, 2), (6, 3), (4, 6), (4,), (3,)),
    "weights add an axis": ((4, 6, 2), (4, 6), (7, 1, 6), (7, 4), ()),
    "weights spread": ((4, 6, 2), (4, 6), (6,), (4,), ()),
    "an empty batch": ((0, 6, 2), (0, 6), None, (0,), ()),
    "an empty axis": ((4, 0, 6, 2), (4, 0, 6), None, (4, 0), ()),
    "no responses": ((6, 2), (6, 0), None, (), (0,)),
    "no responses in a batch": ((4, 6, 2), (4, 6, 0), None, (4,), (0,)),
    "no columns": ((4, 6, 0), (4, 6), None, (4,), ()),
    "no rows": ((4, 0, 2), (4, 0), None, (4,), ()),
    "no rows, one design": ((0, 2), (0, 3), None, (), (3,)),
    "nothing at all": ((0, 0), (0,), None, (), ()),
}


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("case", SHAPES)
def test_what_fits_together_gives_the_shape_it_should(case, intercept):
    x, responses, w, lead, m = SHAPES[case]
    weights = None if w is None else ones(*w)

    def run():
        return fit(ones(*x), ones(*responses), weights=weights, add_intercept=intercept)

    if lead is None:
        with pytest.raises(InputError, match=r"^y: .*y\[None\]"):
            run()
        return
    got = run()
    assert got.params.shape == (*lead, x[-1] + intercept, *m)
    assert got.status.shape == lead + m
    assert (got.nobs == x[-2]).all()
    if not x[-2]:
        assert (got.status == gpuols.Status.TOO_FEW_ROWS).all()
