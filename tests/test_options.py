"""The options: what each takes, what each does, and where the number of threads comes from."""

import dataclasses
import inspect
import os

import numpy as np
import pytest

import gpuols
from gpuols import InputError, InputTypeError
from gpuols.options import Options, threads

VERBS = [gpuols.fit, gpuols.fit_groups, gpuols.moments, gpuols.fit_moments]


def normal(*shape, seed=0):
    array = np.random.default_rng(seed).normal(size=shape)
    array.setflags(write=False)
    return array


ACCEPTED = {
    "add_intercept": [True, False],
    "missing": ["nan", "drop", "raise"],
    "solver": ["auto", "cholesky", "accurate"],
    "singular": ["drop", "min_norm", "nan", "raise"],
    "tol": [1e-10, 1, np.float64(1e-8), np.float32(1e-8), 5e-324, 1e300, np.int64(3)],
    "device": ["auto", "cpu", "cpu:numpy", "cpu:numba", "cuda", "cuda:0", "cuda:12", "cuda:all"],
    "batch_size": [None, 1, 10**12, np.int64(5), np.uint8(7)],
    "progress": [True, False, print, lambda done, total: None, "".join],
    "names": [None, [], ["a", "b"], ("a", "b"), [np.str_("a")], [""]],
}
REFUSED = {
    "add_intercept": [0, 1, None, "yes", np.True_ + np.True_, 1.0],
    "missing": ["", "NaN", "drop it", None, 0, b"nan"],
    "solver": ["", "Auto", "qr", "lu", None, 1, ["auto"]],
    "singular": ["", "min-norm", "pinv", None, 0, ("drop",)],
    "tol": [0, -1e-10, np.nan, np.inf, -np.inf, "1e-8", None, True, 1j, [1e-8], np.ones(2)],
    "device": ["", "gpu", "cuda:", "cuda:-1", "cuda:1.0", "cuda:0:0", "CUDA", " cpu", None, 0],
    "batch_size": [0, -1, 1.0, 1.5, True, False, "10", np.float64(2), [1], np.inf],
    "progress": [1, 0, None, "yes", 3.5, []],
    "names": ["a", "ab", 3, {"a", "b"}, ["a", "a"], ["a", None], [1, 2], [b"a"], (x for x in "a")],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in ACCEPTED.items() for value in values]
)
def test_values_that_are_taken(name, value):
    assert getattr(Options(**{name: value}), name) is value


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values]
)
def test_values_that_are_refused(name, value):
    with pytest.raises((InputError, InputTypeError)) as caught:
        Options(**{name: value})
    assert str(caught.value).startswith(f"{name}: got ")
    assert ", expected " in str(caught.value)
    assert isinstance(caught.value, InputTypeError if bad_type(name, value) else InputError)


def bad_type(name, value):
    if name == "names":
        return not (isinstance(value, list) and value == ["a", "a"])
    if name in ("missing", "solver", "singular") or isinstance(value, str):
        return name in ("add_intercept", "tol", "batch_size", "progress")
    return not (
        (name == "tol" and type(value) in (int, float))
        or (name == "batch_size" and type(value) is int)
    )


def test_every_option_is_tried_both_ways():
    names = {field.name for field in dataclasses.fields(Options)}
    assert names <= set(ACCEPTED)
    assert names <= set(REFUSED)


def test_options_can_not_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().tol = 1.0


@pytest.mark.parametrize("verb", VERBS)
def test_options_are_keyword_only_with_one_default_everywhere(verb):
    defaults = {field.name: field.default for field in dataclasses.fields(Options)}
    data = ("X", "y", "groups", "moments")
    for name, parameter in inspect.signature(verb).parameters.items():
        if name in data:
            assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
            continue
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        if name in defaults and (verb, name) != (gpuols.fit_moments, "add_intercept"):
            assert parameter.default == defaults[name], name


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["add_intercept", "device", "batch_size", "progress", "names"])
def test_every_verb_checks_its_options(verb, name):
    X, y = normal(6, 2), normal(6)
    data = {
        gpuols.fit_groups: (X, y, [0] * 6),
        gpuols.fit_moments: (gpuols.moments(X, y),),
    }.get(verb, (X, y))
    with pytest.raises((InputError, InputTypeError), match=f"^{name}: got "):
        verb(*data, **{name: 3.5})


def test_options_are_checked_before_the_data_is_read():
    with pytest.raises(InputTypeError, match=r"^tol: "):
        gpuols.fit(None, None, tol="x")


def test_a_tighter_tolerance_trusts_less():
    X = normal(30, 3) + 1e3
    bound = gpuols.fit(X, normal(30, seed=1), solver="cholesky").error_bound
    assert 0 < bound < 1e-8
    for tol, status in ((bound, gpuols.Status.OK), (bound / 2, gpuols.Status.UNTRUSTED)):
        result = gpuols.fit(X, normal(30, seed=1), tol=tol, solver="cholesky")
        assert result.status == status
        assert result.tol == tol


def test_tolerance_changes_the_status_alone():
    X, y = normal(30, 3), normal(30, seed=1)
    loose, tight = (gpuols.fit(X, y, tol=tol, solver="cholesky") for tol in (1e-10, 1e-300))
    assert (loose.status, tight.status) == (gpuols.Status.OK, gpuols.Status.UNTRUSTED)
    for name in ("params", "bse", "ssr", "error_bound"):
        assert getattr(loose, name).tobytes() == getattr(tight, name).tobytes()


def test_a_bound_above_the_tolerance_means_a_second_look():
    X, y = normal(2, 30, 3) + np.array([0.0, 1e3])[:, None, None], normal(2, 30, seed=1)
    easy, hard = gpuols.fit(X, y, solver="cholesky").error_bound
    assert easy < hard
    result = gpuols.fit(X, y, tol=(easy + hard) / 2)
    assert result.solved_precisely.tolist() == [False, True]
    assert result.status.tolist() == [0, 0]
    assert result.error_bound[0] == easy
    assert result.error_bound[1] < easy


def test_no_tolerance_is_met_below_the_last_digit_of_a_double():
    X, y = normal(30, 3), normal(30, seed=1)
    result = gpuols.fit(X, y, tol=1e-16)
    assert result.solved_precisely
    assert result.status == gpuols.Status.UNTRUSTED


def test_names_become_terms():
    X, y = normal(30, 2), normal(30, seed=1)
    assert gpuols.fit(X, y).terms == ("x0", "x1")
    assert gpuols.fit(X, y, names=["b", "a"]).terms == ("b", "a")
    assert gpuols.fit(X, y, names=("b", "a"), add_intercept=True).terms == ("Intercept", "b", "a")
    assert gpuols.fit_groups(X, y, [0] * 30, names=["b", "a"]).terms == ("b", "a")
    reduced = gpuols.moments(X, y, names=["b", "a"])
    assert gpuols.fit_moments(reduced).terms == ("b", "a")
    assert gpuols.fit_moments(reduced, names=["c", "d"]).terms == ("c", "d")


def test_names_given_are_copied():
    names = ["a", "b"]
    result = gpuols.fit(normal(30, 2), normal(30, seed=1), names=names)
    names[0] = "changed"
    assert result.terms == ("a", "b")


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("count", ["1", "2", "3", "16"])
def test_the_number_of_threads_never_reaches_the_bits(count, intercept, monkeypatch):
    data = [
        (normal(40, 30, 3), normal(40, 30, seed=1)),
        (normal(30, 3), normal(30, 700, seed=1)),
    ]
    want = [gpuols.fit(*given, add_intercept=intercept, batch_size=7) for given in data]
    monkeypatch.setenv("GPUOLS_NUM_THREADS", count)
    for given, expected in zip(data, want, strict=True):
        got = gpuols.fit(*given, add_intercept=intercept, batch_size=7)
        for name in ("params", "bse", "error_bound", "status"):
            assert getattr(got, name).tobytes() == getattr(expected, name).tobytes()


@pytest.mark.parametrize(("text", "count"), [("1", 1), ("7", 7), ("0012", 12), (" 2 ", 2)])
def test_threads_come_from_the_environment(text, count, monkeypatch):
    monkeypatch.setenv("GPUOLS_NUM_THREADS", text)
    assert threads() == count
    assert gpuols.info().threads == count


@pytest.mark.parametrize("unset", [None, "", " "])
def test_threads_are_the_processors_this_process_may_use(unset, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if unset is None:
        monkeypatch.delenv("GPUOLS_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("GPUOLS_NUM_THREADS", unset)
    if hasattr(os, "sched_getaffinity"):
        assert threads() == len(os.sched_getaffinity(0))
        monkeypatch.delattr(os, "sched_getaffinity")
    assert threads() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads() == 1


@pytest.mark.parametrize(
    ("text", "count"),
    [("1", 1), ("3", 3), (" 2,4 ", 2), ("99", 8), ("0", 8), ("many", 8), ("", 8)],
)
def test_threads_are_no_more_than_those_of_openmp(text, count, monkeypatch):
    monkeypatch.delenv("GPUOLS_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(8), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert threads() == count
    monkeypatch.setenv("GPUOLS_NUM_THREADS", "5")
    assert threads() == 5


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "²"])
def test_a_number_of_threads_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv("GPUOLS_NUM_THREADS", text)
    with pytest.raises(InputError) as caught:
        gpuols.fit(normal(6, 2), normal(6))
    message = str(caught.value)
    assert message.startswith(f"GPUOLS_NUM_THREADS: got {text!r}, expected a positive integer; ")
