"""Arrays that lie on a CUDA device: read where they are, checked, and handed out there."""

import re
import sys

import foreign
import numpy as np
import pytest
from emulator import build, standin
from emulator.standin import streams
from foreign import normal

import gpuols
from gpuols import arrays, missing, rows
from gpuols.engines import device, transfer

pytestmark = pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")

kinds = pytest.mark.parametrize("kind", foreign.KINDS)


@pytest.fixture
def machine(monkeypatch):
    with foreign.two_devices(monkeypatch) as found:
        yield found


def there(array, kind="cupy", number=0):
    with device.on(number):
        return foreign.MAKERS[kind](device.upload(np.asarray(array)))


# What comes in


@kinds
@pytest.mark.parametrize("number", [0, 1])
def test_an_array_is_read_where_it_is(machine, kind, number):
    value = there(normal(3, 2), kind, number)
    came = arrays.read("X", value)
    assert (came.kind, came.place, came.labels) == (kind, f"cuda:{number}", None)
    assert came.array.data.ptr == foreign.inside(value).data.ptr
    assert came.array.device.id == number


def test_what_has_the_interface_alone_is_read_as_cupy(machine):
    value = there([1.0, 2.0])
    came = arrays.read("y", foreign.Interface(value))
    assert (came.kind, came.place) == ("cupy", "cuda:0")
    assert came.array.data.ptr == value.data.ptr


@pytest.mark.parametrize(
    ("came", "read"),
    [
        ("float32", "float32"),
        ("float64", "float64"),
        *((name, "float64") for name in ("float16", "bool", "int8", "uint16", "int64", "uint64")),
    ],
)
def test_other_numbers_become_float64_there(machine, came, read):
    value = there(np.array([0, 1, 1]).astype(came), number=1)
    found = arrays.read("X", value).array
    assert found.dtype == read
    assert found.device.id == 1
    assert transfer.to_host(found).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda a: a.astype(complex), ["complex128", "imaginary"]),
        (lambda a: foreign.Tensor(a, requires_grad=True), ["requires grad", ".detach()"]),
        (lambda a: foreign.Tensor(a, dtype="torch.bfloat16"), ["bfloat16", ".float()"]),
        (lambda a: foreign.Array(a, dtype="bfloat16"), ["bfloat16", ".astype(float)"]),
    ],
)
def test_what_holds_no_plain_numbers_is_refused(machine, make, words):
    value = make(there(np.ones(4)))
    with pytest.raises(gpuols.InputTypeError, match=r"^y: got ") as caught:
        gpuols.fit(there(np.ones((4, 1))), value)
    for word in words:
        assert word in str(caught.value)


def test_what_cupy_can_not_read_is_refused(machine):
    class Sparse(foreign.Tensor):
        __module__ = "torch"

        def __dlpack__(self, **options):
            raise BufferError("no strides")

    with pytest.raises(gpuols.InputTypeError, match=r"^X: .*no strides.*\.to_dense\(\)"):
        arrays.read("X", Sparse(there(np.ones(4))))


@pytest.mark.parametrize(
    ("kind", "cure"), [("cupy", ".get()"), ("torch", ".cpu()"), ("jax", "cpu")]
)
def test_a_device_that_does_not_work_says_why(machine, kind, cure):
    value = there(np.ones(4), kind)
    device.forget()
    machine.count_error = standin.CUDARuntimeError(35)
    with pytest.raises(gpuols.DeviceError) as caught:
        arrays.read("weights", value)
    message = str(caught.value)
    assert message.startswith("weights: got an array on cuda:0 (there is no NVIDIA driver")
    assert cure in message


def test_without_cupy_the_message_says_how_to_get_it(monkeypatch):
    class Cuda:
        __module__ = "torch"
        device = type("device", (), {"type": "cuda"})
        requires_grad, dtype = False, "torch.float64"

        def __dlpack_device__(self):
            return 2, 1

        def resolve_neg(self):
            return self

    device.forget()
    foreign.install(monkeypatch)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(gpuols.DeviceError, match=r"^X: .*cuda:1 \(CuPy .*pip install.*\.cpu\(\)"):
        gpuols.fit(Cuda(), np.ones(3))
    device.forget()


# What goes out


@kinds
@pytest.mark.parametrize("number", [0, 1])
def test_a_result_is_handed_out_where_it_is(machine, kind, number):
    array = there(normal(3, 2), number=number)
    found = arrays.give(array, kind, f"cuda:{number}")
    assert foreign.kind_of(found) == kind
    assert foreign.inside(found).data.ptr == array.data.ptr


@kinds
def test_a_result_on_the_host_is_copied_there(machine, kind):
    for array in (normal(3, 2), normal(2, 3).T, np.float64(2.5)):
        found = foreign.inside(arrays.give(array, kind, "cuda:1"))
        assert (found.shape, found.device.id) == (array.shape, 1)
        np.testing.assert_array_equal(transfer.to_host(found), array)


def test_a_broadcast_result_owns_its_memory(machine):
    array = np.broadcast_to(there([1.0]), (3,))
    found = arrays.give(array, "cupy", "cuda:0")
    found[0] = 2.0
    assert transfer.to_host(found).tolist() == [2.0, 1.0, 1.0]
    assert transfer.to_host(array).tolist() == [1.0, 1.0, 1.0]


def test_jax_gets_what_is_contiguous(machine):
    for array in (there(normal(2, 3)).T, there(np.array(1.0))):
        found = foreign.inside(arrays.give(array, "jax", "cuda:0"))
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(transfer.to_host(found), transfer.to_host(array))


def test_jax_without_x64_gets_float64_of_cupy(machine, monkeypatch):
    foreign.install(monkeypatch, x64=False)
    found = arrays.give(there([1.0]), "jax", "cuda:0")
    assert (foreign.kind_of(found), found.dtype) == ("cupy", np.float64)


@kinds
@pytest.mark.parametrize("number", [0, 1])
def test_copies_go_between_the_host_and_any_device(machine, kind, number):
    array = normal(3, 2)
    found = transfer.to_place(array, f"cuda:{number}")
    assert found.device.id == number
    np.testing.assert_array_equal(transfer.to_host(foreign.MAKERS[kind](found)), array)
    assert transfer.to_host(array) is transfer.to_place(array, "cpu") is array


# Rows

SHAPES = {
    "one regression": ((30, 3), (30,), (30,)),
    "one design": ((30, 3), (30, 5), None),
    "a batch": ((4, 30, 3), (4, 30), (30,)),
    "a batch with responses": ((2, 2, 30, 3), (2, 2, 30, 2), (2, 1, 30)),
}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def data(shape):
    X, y, w = (None if s is None else normal(*s, seed=i) for i, s in enumerate(shape))
    return X, y, None if w is None else np.abs(w)


@shapes
@kinds
@pytest.mark.parametrize("number", [0, 1])
def test_rows_are_those_of_the_host(machine, shape, kind, number):
    given = data(shape)
    want = rows.read_rows(*given, "abc")
    found = rows.read_rows(*(None if a is None else there(a, kind, number) for a in given), "abc")
    for name in ("lead", "single", "terms", "responses", "n", "k", "m"):
        assert getattr(found, name) == getattr(want, name)
    assert (found.kind, found.place, want.place) == (kind, f"cuda:{number}", "cpu")
    for ours, theirs in ((found, want), (found.by_response(), want.by_response())):
        assert ours.lead == theirs.lead
        for name in ("x", "y", "weights"):
            array, wanted = getattr(ours, name), getattr(theirs, name)
            assert (array is None) == (wanted is None)
            if array is not None:
                assert array.device.id == number
                np.testing.assert_array_equal(transfer.to_host(array), wanted, strict=True)


X, Y, W = normal(9, 2), normal(9, seed=1), np.ones(9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"X": normal(9)}, "X: got shape (9,)"),
        ({"y": normal(8)}, "y: got 8 rows"),
        ({"y": normal(1, 1, 9)}, "y: got shape (1, 1, 9)"),
        ({"weights": np.ones((9, 1))}, "weights: got shape (9, 1)"),
        ({"weights": np.array([1.0] * 7 + [-2.0, np.nan])}, "negative values, the lowest -2,"),
        ({"weights": -np.ones((0, 9))}, None),
        ({"weights": np.full(9, np.nan)}, None),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_mistakes_are_told_as_on_the_host(machine, change, words, number):
    given = {"X": X, "y": Y, "weights": W} | change
    moved = {name: there(a, number=number) for name, a in given.items()}
    if words is None:
        assert rows.read_rows(*moved.values(), None).lead == given["weights"].shape[:-1]
        return
    with pytest.raises(gpuols.InputError, match=re.escape(words)) as told:
        rows.read_rows(*given.values(), None)
    with pytest.raises(gpuols.InputError) as caught:
        rows.read_rows(*moved.values(), None)
    assert str(caught.value) == str(told.value)


@pytest.mark.parametrize(
    ("first", "other", "words"),
    [
        (None, "cupy", ["on cuda:0", "one in host memory, where X is", "use {}.get()"]),
        (None, "torch", ["on cuda:0", "one in host memory", "use {}.cpu()"]),
        (None, "jax", ["on cuda:0", "one in host memory", "use numpy.asarray({})"]),
        ("cupy", None, ["in host memory", "on cuda:1", "with X.device: {0} = cupy.asarray({0})"]),
        ("torch", None, ["in host memory", "on cuda:1", "torch.as_tensor({}, device=X.device)"]),
        ("jax", None, ["in host memory", "on cuda:1", "use jax.device_put({}, X.device)"]),
        ("cupy", "torch", ["on cuda:0", "one on cuda:1, where X is", "cupy.asarray({})"]),
    ],
)
@pytest.mark.parametrize("argument", ["y", "weights"])
def test_arrays_in_several_places_are_refused(machine, first, other, words, argument):
    def put(array, kind, number):
        return array if kind is None else there(array, kind, number)

    given = {"y": Y, "weights": W}
    moved = {
        name: put(a, other, 0) if name == argument else put(a, first, 1)
        for name, a in given.items()
    }
    with pytest.raises(gpuols.DeviceError) as caught:
        gpuols.fit(put(X, first, 1), **moved)
    message = str(caught.value)
    assert message.startswith(f"{argument}: got an array ")
    for word in words:
        assert word.format(argument) in message


def test_lists_and_numpy_arrays_are_in_host_memory(machine):
    for y in (Y, list(Y)):
        with pytest.raises(gpuols.DeviceError, match=r"^y: got an array in host memory"):
            gpuols.fit(there(X), y)


def test_a_penalty_may_lie_anywhere(machine):
    for value in (there(np.array([1.0, 2.0]), number=1), [1, 2]):
        found = rows.read_ridge(value, (2,))
        assert type(found) is np.ndarray
        assert found.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("scan", [1, 7, 2**22])
def test_missing_values_are_counted_there(machine, number, scan, monkeypatch):
    monkeypatch.setattr(missing, "_SCAN", scan)
    holes = normal(3, 9, 2)
    holes[1, 4, 1] = holes[2, 0, 0] = np.nan
    given = rows.read_rows(
        there(holes, number=number), there(normal(3, 9), number=number), None, None
    )
    with pytest.raises(gpuols.InputError, match=r"X: got 2 missing.*first at \(1, 4, 1\)"):
        missing.refuse_missing(given)
    whole = rows.read_rows(*(there(a, number=number) for a in (X, Y, W)), None)
    missing.refuse_missing(whole)


# Streams

BATCH = normal(3, 9, 2), normal(3, 9, seed=1)
COUNTS = np.ones(9, int)


def fitted_elsewhere(number, name):
    """What a fit of host rows gives, to the bit."""
    return getattr(gpuols.fit(*BATCH, weights=COUNTS, device=f"cuda:{number}"), name)


@pytest.mark.parametrize("number", [0, 1])
def test_torch_is_worked_for_on_its_own_stream(machine, number, monkeypatch):
    expected = fitted_elsewhere(number, "bse")
    push, used = streams._Queue.push, []

    def note(queue, function, memories=(), quietly=False):
        if memories:
            used.append(queue)
        push(queue, function, memories, quietly)

    with device.on(number):
        stream = device.namespace().cuda.Stream(non_blocking=True)
        with stream:
            rows_of_torch = [foreign.Tensor(device.upload(array)) for array in (*BATCH, COUNTS)]
        monkeypatch.setattr(streams._Queue, "push", note)
        with foreign.torch_on(stream):
            found = gpuols.fit(*rows_of_torch[:2], weights=rows_of_torch[2], missing="raise")
            bse = found[:].bse
            found.cov_params()
        assert {id(queue) for queue in used} == {id(stream._queue)}
        with stream:
            np.testing.assert_array_equal(device.download(bse.array), expected)


@pytest.mark.parametrize("number", [0, 1])
def test_streams_wait_for_each_other(machine, number):
    with device.on(number):
        one, other = (device.namespace().cuda.Stream(non_blocking=True) for _ in range(2))
        x = device.upload(np.ones(3))  # queued, and not done yet
        with device.on(number, one.ptr):
            twice = x * 2
        thrice = twice + x
        with device.on(number, other.ptr):
            np.testing.assert_array_equal(device.download(thrice), 3)


def test_a_stream_is_waited_for_though_something_went_wrong(machine):
    stream = device.namespace().cuda.Stream(non_blocking=True)
    x = device.upload(np.ones(3))

    def double_and_fail():
        nonlocal x
        x *= 2
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"), device.on(0, stream.ptr):
        double_and_fail()
    np.testing.assert_array_equal(device.download(x), 2)


def test_libraries_on_different_streams_meet_in_one_call(machine):
    stream = device.namespace().cuda.Stream(non_blocking=True)
    with stream:
        x = foreign.Tensor(device.upload(BATCH[0]))
    y, weights = device.upload(BATCH[1]), device.upload(COUNTS)
    with foreign.torch_on(stream):
        part = gpuols.fit(x, y, weights=weights)[1:]
    found = transfer.to_host(part.params)
    np.testing.assert_array_equal(found, fitted_elsewhere(0, "params")[1:])


# Engines


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("cpu", "'cpu' with X on cuda:1"),
        ("cuda:0", "'cuda:0' with X on cuda:1"),
    ],
)
@pytest.mark.parametrize("verb", [gpuols.fit, gpuols.moments])
def test_an_engine_reads_what_is_in_its_place(machine, asked, words, verb):
    with pytest.raises(gpuols.DeviceError, match=words):
        verb(there(X, number=1), there(Y, number=1), device=asked)


def test_moments_of_rows_on_a_device_are_on_the_host(machine):
    found = gpuols.moments(there(X, number=1), there(Y, number=1), add_intercept=True)
    expected = gpuols.moments(X, Y, add_intercept=True)
    assert type(found.sxx) is np.ndarray
    np.testing.assert_allclose(found.sxx, expected.sxx, rtol=1e-13)
