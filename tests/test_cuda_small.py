"""Small calls: how often a fit on a device talks to it."""

import machines
import numpy as np
import pytest
from emulator import build, standin
from machines import in_order, upload

import gpuols
from benchmarks import latency
from gpuols.engines import device
from gpuols.engines.lots import lines

machine, pretended = machines.machine, machines.pretended


def talk(on, fit):
    """Launches, CuPy's functions, and bytes of copies to and from the device of a warm fit."""
    fit()
    for told in (on.launches, on.functions, on.uploads, on.downloads):
        del told[:]
    fit()
    return [name for name, *_ in on.launches], on.functions, on.uploads, on.downloads


# The counter of what is rejected is set to zero and read; what was solved precisely is set to zero.
ASSEMBLY = ["setitem", "setitem"], [], [4]


@in_order
@pytest.mark.parametrize("options", [{}, {"add_intercept": True}, {"solver": "cholesky"}], ids=str)
@pytest.mark.parametrize(("lead", "n", "k"), [((50,), 60, 4), ((2, 5, 3), 300, 3), ((), 4096, 8)])
def test_a_small_batch_is_one_launch(pretended, lead, n, k, options):
    rng = np.random.default_rng(0)
    X, y = upload(rng.normal(size=(*lead, n, k))), upload(rng.normal(size=(*lead, n)))
    launches, *others = talk(pretended, lambda: gpuols.fit(X, y, **options))
    assert launches == ["fit_batch"]
    assert tuple(others) == ASSEMBLY


@in_order
def test_weights_and_penalties_are_two_more_launches_and_a_copy(pretended):
    rng = np.random.default_rng(0)
    X, y = upload(rng.normal(size=(9, 60, 4))), upload(rng.normal(size=(9, 60)))
    weights = upload(rng.uniform(0.5, 2.0, (9, 60)))
    launches, _, uploads, downloads = talk(
        pretended, lambda: gpuols.fit(X, y, weights=weights, ridge=0.1)
    )
    assert launches == ["mask", "places", "fit_batch"]
    assert uploads == [9 * 8]
    assert downloads == [8, 4]  # the lowest weight, and how many are rejected


@in_order
def test_responses_that_share_rows_are_one_launch(pretended):
    rng = np.random.default_rng(0)
    X, y = upload(rng.normal(size=(6, 40, 3))), upload(rng.normal(size=(6, 40, 5)))
    launches, *others = talk(pretended, lambda: gpuols.fit(X, y))
    assert launches == ["fit_batch"]
    assert tuple(others) == ASSEMBLY


def numbers_and_rows(tables, lead, part):
    return {
        number: [table if table is None else table[i].ravel()[0] for table in slices.tables]
        for numbers, slices in lines(tables, lead, part)
        for i, number in enumerate(numbers)
    }


@pytest.mark.parametrize("lead", [(1,), (7,), (2, 3), (4, 1, 3), (2, 3, 4), (1, 1), (3, 0)])
def test_lines_reach_every_regression_by_its_number(lead):
    count, longest = int(np.prod(lead)), int(np.argmax(lead))
    whole = np.arange(float(count)).reshape(*lead, 1, 1)
    alike = np.broadcast_to(whole[:1], whole.shape)
    for tables in (
        [whole, whole + 100, None],
        [whole, np.asfortranarray(whole), whole[..., 0]],
        [whole[::-1][::-1], np.broadcast_to(whole.ravel()[:1, None, None], whole.shape), None],
        [alike, alike, None],
    ):
        for part in (slice(0, lead[longest]), slice(1, max(2, lead[longest] - 1))):
            if part.stop > lead[longest]:
                continue
            found = numbers_and_rows(tables, lead, part)
            own = np.arange(count).reshape(lead).take(range(part.start, part.stop), longest)
            assert sorted(found) == sorted(own.ravel())
            flat = [table if table is None else table.ravel() for table in tables]
            for number, rows in found.items():
                assert rows == [table if table is None else table[number] for table in flat]


def test_as_few_lines_as_the_strides_allow():
    whole, part = np.zeros((4, 5, 6, 9, 2)), slice(0, 6)
    assert len([*lines([whole, whole[..., 0], None], (4, 5, 6), part)]) == 1
    some = np.zeros((4, 1, 6, 9, 2))
    spread = np.broadcast_to(some, whole.shape)
    assert len([*lines([whole, spread, None], (4, 5, 6), part)]) == 20
    assert len([*lines([whole[:, :3], whole[:, 2:], None], (4, 3, 6), part)]) == 4


@pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")
def test_the_profile_is_printed_on_a_device(capsys, monkeypatch):
    device.forget()
    with standin.installed(idle=False):
        monkeypatch.setattr(latency, "_TIMES", 3)
        latency.main([])
    device.forget()
    told = capsys.readouterr().out
    assert "NVIDIA Stand-in" in told
    assert "us a call" in told
    assert "(call)" in told


def test_without_a_device_the_reason_is_given(capsys, monkeypatch):
    monkeypatch.setattr(latency, "missing", lambda: "there is none")
    with pytest.raises(SystemExit) as stop:
        latency.main([])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "no CUDA device to measure on: there is none\n"
