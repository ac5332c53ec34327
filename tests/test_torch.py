"""torch tensors on the CPU: read in place, and the same kind of thing out."""

import pickle

import numpy as np
import pytest

import gpuols
from gpuols import arrays

torch = pytest.importorskip("torch", reason="torch is an optional peer, not a dependency")
forward_ad = torch.autograd.forward_ad
FakeTensorMode = pytest.importorskip("torch._subclasses.fake_tensor").FakeTensorMode

STATISTICS = (
    *("params", "bse", "tvalues", "pvalues", "log10_pvalues", "normalized_cov"),
    *("ssr", "scale", "centered_tss", "uncentered_tss", "rsquared", "rsquared_adj"),
    *("fvalue", "f_pvalue", "llf", "aic", "bic", "nobs", "df_model", "df_resid"),
    *("rank", "status", "error_bound"),
)

SHAPES = {
    "one regression": ((30, 3), (30,)),
    "one design": ((30, 3), (30, 5)),
    "a batch": ((4, 30, 3), (4, 30)),
    "a batch with responses": ((2, 2, 30, 3), (2, 2, 30, 2)),
    "responses as rows": ((1, 30, 3), (7, 30)),
    "an empty batch": ((0, 30, 3), (0, 30)),
}
shapes = pytest.mark.parametrize(("x", "y"), SHAPES.values(), ids=SHAPES)
CALLS = {
    "conf_int": lambda r, X, y: r.conf_int(),
    "cov_params": lambda r, X, y: r.cov_params(),
    "predict": lambda r, X, y: r.predict(X),
    "resid": lambda r, X, y: r.resid(X, y),
    "t_test effect": lambda r, X, y: r.t_test([1, 0, 0, 1]).effect,
    "t_test sd": lambda r, X, y: r.t_test([1, 0, 0, 1]).sd,
    "f_test statistic": lambda r, X, y: r.f_test([1, 0, 0, 1]).statistic,
    "f_test df_denom": lambda r, X, y: r.f_test([1, 0, 0, 1]).df_denom,
}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def assert_same(got, want):
    """The same numbers to the bit, as a float64 (or whole-number) tensor on the CPU."""
    assert type(got) is torch.Tensor
    assert got.device.type == "cpu"
    want = np.asarray(want)
    assert (got.numpy().shape, got.numpy().dtype) == (want.shape, want.dtype)
    assert got.numpy().tobytes() == want.tobytes()


@shapes
def test_every_statistic_is_a_tensor(x, y):
    X, y = normal(*x), normal(*y, seed=1)
    got = gpuols.fit(torch.tensor(X), torch.tensor(y), add_intercept=True)
    want = gpuols.fit(X, y, add_intercept=True)
    for name in STATISTICS:
        assert_same(getattr(got, name), getattr(want, name))


@shapes
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_answer_is_a_tensor(x, y, call):
    X, y = normal(*x), normal(*y, seed=1)
    tensors = torch.tensor(X), torch.tensor(y)
    got, want = gpuols.fit(*tensors, add_intercept=True), gpuols.fit(X, y, add_intercept=True)
    assert_same(call(got, *tensors), call(want, X, y))


def test_tensors_are_read_in_place():
    for tensor in (torch.rand(4, 3), torch.rand(4, 6)[:, ::2], torch.rand(3, 4).T):
        read = arrays.read("X", tensor).array
        assert read.ctypes.data == tensor.data_ptr()
        assert read.shape == tuple(tensor.shape)


def test_results_are_handed_over_in_place():
    array = normal(3, 2)
    assert arrays.give(array, arrays.TORCH).data_ptr() == array.ctypes.data


def test_results_that_are_views_own_their_memory():
    array = np.broadcast_to(1.0, (3, 2))
    tensor = arrays.give(array, arrays.TORCH)
    tensor[0, 0] = 2.0
    assert tensor.sum() == 7.0
    assert array.sum() == 6.0


def test_inputs_are_left_alone():
    X, y, w = torch.rand(50, 3), torch.rand(50, 2), torch.rand(50)
    before = [t.clone() for t in (X, y, w)]
    result = gpuols.fit(X, y, weights=w, add_intercept=True)
    for name in STATISTICS:
        tensor = getattr(result, name)
        tensor.zero_()
    for now, then in zip((X, y, w), before, strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize(
    "dtype",
    "bool uint8 int8 int16 int32 int64 float16 float32 float64".split(),  # noqa: SIM905
)
def test_dtypes_give_the_bits_of_their_float64_copy(dtype):
    rng = np.random.default_rng(0)
    X, y = (torch.tensor(rng.integers(0, 2, s)).to(getattr(torch, dtype)) for s in ((30, 3), 30))
    got = gpuols.fit(X, y)
    assert_same(got.params, gpuols.fit(X.double().numpy(), y.double().numpy()).params)


@pytest.mark.parametrize(
    ("argument", "tensor", "words"),
    [
        (a, t, words)
        for t, words in [
            (torch.ones(4, requires_grad=True), ["requires grad", ".detach()"]),
            (torch.nn.Parameter(torch.ones(4)), ["requires grad", ".detach()"]),
            (torch.ones(4, dtype=torch.bfloat16), ["bfloat16", ".float()"]),
            (torch.ones(4, dtype=torch.complex64), ["complex64", "imaginary"]),
            (torch.ones(4).to_sparse(), ["DLPack", ".to_dense()"]),
        ]
        for a in ("X", "y", "weights", "ridge")
    ],
)
def test_what_holds_no_plain_numbers_is_refused(argument, tensor, words):
    given = {"X": torch.ones(4, 1), "y": torch.ones(4), argument: tensor}
    with pytest.raises(gpuols.InputTypeError) as caught:
        gpuols.fit(given.pop("X"), given.pop("y"), **given)
    message = str(caught.value)
    assert message.startswith(f"{argument}: got ")
    for word in words:
        assert word in message


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_a_tangent_is_not_lost_in_silence():
    X, y = torch.rand(9, 2), torch.rand(9)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(y, torch.ones(9))
        with pytest.raises(gpuols.InputTypeError, match=r"^y: .*tangent.*\.detach\(\)"):
            gpuols.fit(X, dual)
        assert_same(gpuols.fit(X, dual.detach()).params, gpuols.fit(X, y).params.numpy())


def test_a_tensor_without_data_is_refused():
    with FakeTensorMode():
        fake = torch.rand(9, 2)
    with pytest.raises(gpuols.InputTypeError, match=r"^X: .*without data.*outside"):
        gpuols.fit(fake, torch.rand(9))


def test_a_tensor_under_vmap_is_refused():
    X, Y = torch.rand(9, 2), torch.rand(5, 9)
    with pytest.raises(gpuols.InputTypeError, match=r"^y: .*outside vmap"):
        torch.func.vmap(lambda y: gpuols.fit(X, y).params)(Y)


def test_a_lazy_sign_is_read():
    X, z = torch.rand(9, 2, dtype=torch.float64), torch.rand(9, dtype=torch.complex128)
    lazy = z.conj().imag
    assert lazy.is_neg()
    assert_same(gpuols.fit(X, lazy).params, gpuols.fit(X, -z.imag).params.numpy())


class Special(torch.Tensor):
    """As libraries derive tensors that carry more."""


def test_classes_derived_from_tensors_are_tensors():
    X, y = torch.rand(9, 2), torch.rand(9)
    got = gpuols.fit(X.as_subclass(Special), y.as_subclass(Special))
    assert_same(got.params, gpuols.fit(X, y).params.numpy())
    with pytest.raises(gpuols.InputTypeError, match=r"^X: .*requires grad.*\.detach\(\)"):
        gpuols.fit(X.as_subclass(Special).requires_grad_(), y)


def test_a_tensor_elsewhere_is_a_device_error():
    with pytest.raises(gpuols.DeviceError, match=r"^y: .*meta.*\.cpu\(\)"):
        gpuols.fit(torch.ones(4, 1), torch.ones(4, device="meta"))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_tensor_among_numpy_arrays_makes_the_results_tensors(which):
    given = [normal(20, 2), normal(20, seed=1), np.ones(20)]
    want = gpuols.fit(given[0], given[1], weights=given[2])
    given[which] = torch.tensor(given[which])
    got = gpuols.fit(given[0], given[1], weights=given[2])
    assert_same(got.params, want.params)


def test_a_single_regression_gives_tensors_without_axes():
    result = gpuols.fit(torch.rand(9, 2, dtype=torch.float64), torch.rand(9, dtype=torch.float64))
    assert result.ssr.shape == ()
    assert result.ssr.dtype == torch.float64
    assert result.status.dtype == torch.int8


def test_results_are_indexed_by_tensors():
    X, y = torch.rand(5, 9, 2), torch.rand(5, 9)
    X[2, 0, 0] = torch.nan
    result = gpuols.fit(X, y)
    mask = result.status == 0
    assert mask.tolist() == [True, True, False, True, True]
    assert torch.equal(result[mask].params, result.params[mask])
    places = torch.tensor([3, 0])
    assert torch.equal(result[places].params, result.params[places])
    assert torch.equal(result[1].params, result.params[1])


def test_groups_take_tensors_for_everything():
    X, y, keys = normal(40, 2), normal(40, seed=1), np.arange(40) % 7
    got = gpuols.fit_groups(torch.tensor(X), torch.tensor(y), torch.tensor(keys))
    want = gpuols.fit_groups(X, y, keys)
    for name in STATISTICS:
        assert_same(getattr(got, name), getattr(want, name))
    np.testing.assert_array_equal(got.keys, want.keys)
    codes = torch.tensor(keys)
    assert_same(got.resid(torch.tensor(X), torch.tensor(y), codes), want.resid(X, y, keys))


def test_offsets_may_be_a_tensor():
    X, y, offsets = torch.rand(9, 1), torch.rand(9), [0, 4, 9]
    got = gpuols.fit_groups(X, y, offsets=torch.tensor(offsets))
    assert torch.equal(got.params, gpuols.fit_groups(X, y, offsets=offsets).params)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("touched", [False, True])
def test_results_pickle(protocol, touched):
    result = gpuols.fit(torch.rand(4, 9, 2), torch.rand(4, 9))
    if touched:
        result.summary()
        _ = result.pvalues
    again = pickle.loads(pickle.dumps(result, protocol))
    for name in STATISTICS:
        assert_same(getattr(again, name), getattr(result, name).numpy())


def test_results_are_loaded_as_numpy(tmp_path):
    result = gpuols.fit(torch.rand(4, 9, 2), torch.rand(4, 9))
    result.save(tmp_path / "result.npz")
    again = gpuols.Result.load(tmp_path / "result.npz")
    assert type(again.params) is np.ndarray
    assert_same(result.params, again.params)


def test_text_about_a_result_is_that_of_numpy():
    X, y = normal(4, 9, 2), normal(4, 9, seed=1)
    got, want = gpuols.fit(torch.tensor(X), torch.tensor(y)), gpuols.fit(X, y)
    assert repr(got) == repr(want)
    assert got.summary() == want.summary()
    assert got[0].summary() == want[0].summary()
    assert got.check() is got
