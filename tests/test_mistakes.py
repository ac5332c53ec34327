"""What newcomers do wrong, and what they are told: each message names the mend."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

import gpuols

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = RNG.normal(size=40)
BATCH = RNG.normal(size=(5, 40, 3))
ONES = np.ones((40, 1))
GROUPS = np.repeat(["a", "b"], 20)
FRAME = pd.DataFrame(
    {
        "y": Y,
        "x1": X[:, 0],
        "x2": X[:, 1],
        "city": GROUPS,
        "seller": [f"s{i % 1500}" for i in range(40)],
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(40), "D"),
        "empty": np.full(40, np.nan),
    }
)
MANY = pl.DataFrame({"y": np.arange(3000.0), "seller": [f"s{i % 1500}" for i in range(3000)]})


def fit(*args, **options):
    return lambda: gpuols.fit(*args, **options).check()


def fit_groups(*args, **options):
    return lambda: gpuols.fit_groups(*args, **options).check()


def fit_frame(*args, **options):
    return lambda: gpuols.fit_frame(*args, **options).check()


def holed(array):
    array = array.copy()
    array[3] = np.nan
    return array


MISTAKES = {
    "columns as rows": (fit(X.T, Y), "X.T"),
    "one regressor as a vector": (fit(X[:, 0], Y), r"X\[:, None\]"),
    "y of another length": (fit(X, Y[:-1]), "39.*40|40.*39"),
    "responses as rows": (fit(X, np.stack([Y, Y])), r"y\.T"),
    "a batch of responses on one design": (fit(X, BATCH[..., 0][:4]), r"\.T|X\[None\]"),
    "strings": (fit(X.astype(str), Y), r"astype\(float\)"),
    "objects": (fit(X.astype(object), Y), r"astype\(float\)"),
    "complex numbers": (fit(X + 0j, Y), "two responses"),
    "dates": (fit(FRAME[["day"]].to_numpy(), Y), "convert to numbers"),
    "a missing value": (fit(X, holed(Y)), 'missing="drop"'),
    "a column without values": (fit(np.c_[X, np.full(40, np.nan)], Y), 'missing="drop"|clean'),
    "an intercept twice": (fit(np.c_[ONES, X], Y, add_intercept=True), "remove them"),
    "a column twice": (fit(np.c_[X, X[:, 0]], Y), "remove them.*min_norm.*ridge"),
    "more columns than rows": (fit(X.T, Y[:3]), "add rows, use fewer columns or add a ridge"),
    "negative weights": (fit(X, Y, weights=-np.ones(40)), "weights.*zero"),
    "weights of another length": (fit(X, Y, weights=np.ones(39)), "give one weight a row"),
    "a negative penalty": (fit(X, Y, ridge=-1.0), r"ridge.*use ridge=0\.0"),
    "a word that is no option": (fit(X, Y, missing="omit"), "'nan', 'drop', 'raise'"),
    "an unknown device": (fit(X, Y, device="gpu"), "'cuda'"),
    "a device that is not there": (fit(X, Y, device="cuda:7"), "pip install|device=|driver"),
    "a sparse matrix": (fit(sparse.csr_array(X), Y), r"\.toarray\(\)"),
    "a masked array": (fit(np.ma.masked_array(X), Y), r"\.filled\(numpy\.nan\)"),
    "a lazy frame": (fit(pl.LazyFrame({"x": Y}), Y), r"\.collect\(\)"),
    "names that are too few": (fit(X, Y, names=["a"]), "names.*3"),
    "keys of another length": (fit_groups(X, Y, GROUPS[1:]), "a key for every row"),
    "no keys": (fit_groups(X, Y), "groups="),
    "a batch as a table": (fit_groups(BATCH, BATCH[..., 0], GROUPS), r"gpuols\.fit "),
    "an empty group": (fit_groups(X, Y, offsets=[0, 20, 20, 40]), "1 TOO_FEW_ROWS.*add rows"),
    "an unknown name in a formula": (fit_frame(FRAME, "y ~ x3"), "the columns are 'y', 'x1'"),
    "a typing error in a formula": (fit_frame(FRAME, "y ~ citty"), "did you mean 'city'"),
    "another case": (fit_frame(FRAME, "Y ~ x1"), "did you mean 'y'"),
    "an unknown function": (fit_frame(FRAME, "y ~ sqroot(x1)"), "np.log|column of it"),
    "an unknown key": (fit_frame(FRAME, "y ~ x1", by="town"), "the columns are 'y', 'x1'"),
    "a formula without a response": (fit_frame(FRAME, "x1 + x2"), '"y ~ x1'),
    "a formula that breaks off": (fit_frame(FRAME, "y ~ x1 +"), '"y ~ x1'),
    "a bar for groups": (fit_frame(FRAME, "y ~ x1 | city"), "by="),
    "the response among the regressors": (fit_frame(FRAME, "y ~ x1 + y"), "take it out"),
    "strings by name": (fit_frame(FRAME, ("y", ["x1", "city"])), r"C\(city\)"),
    "dates by name": (fit_frame(FRAME, ("y", "day")), "days since"),
    "a response of words": (fit_frame(FRAME, "city ~ x1"), "response 'city'.*numbers"),
    "a huge category": (fit_frame(MANY, "y ~ C(seller)"), "1,500 levels.*by='seller'"),
    "a column of nothing": (fit_frame(FRAME, "y ~ x1 + empty"), "'empty'.*leave it out"),
    "weights as an array": (fit_frame(FRAME, "y ~ x1", weights=Y), "give its name"),
    "an array as a frame": (fit_frame(X, "y ~ x1"), r"gpuols\.fit "),
    "a dictionary as a frame": (fit_frame({"y": Y}, "y ~ 1"), "pandas, polars or pyarrow"),
    "columns of one name": (fit_frame(FRAME.rename(columns={"x2": "x1"}), "y ~ x1"), "rename"),
    "a list of names as a formula": (fit_frame(FRAME, ["y", "x1", "x2"]), r'\("y", \["x1"'),
}


@pytest.mark.parametrize(("make", "mend"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered_with_its_mend(make, mend):
    with pytest.raises(
        (gpuols.InputError, gpuols.InputTypeError, gpuols.DeviceError, gpuols.FitError)
    ) as told:
        make()
    assert re.search(mend, " ".join(str(told.value).split())), str(told.value)


def test_thirty_mistakes_are_known():
    assert len(MISTAKES) >= 30
