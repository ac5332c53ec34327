"""The choice of device="auto" for rows of the host: the model, the rates, where they are kept."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from emulator import build, standin

import gpuols
from gpuols import DeviceError, costs, plan
from gpuols.engines import device

RATES = plan.Rates(
    link=5e10, latency=1e-4, device_operations=1e13, cpu_bytes=2e9, cpu_operations=1e10
)
SLOW = replace(RATES, link=1e8)
LARGE = plan.load(250_000_000, rows=50_000_000, count=10**6, k=4, m=1, largest=50)


# The model


def test_the_cpu_takes_its_time_for_bytes_and_for_operations():
    load = plan.Load(sent=30, brought=10, operations=600, largest=0)
    rates = plan.Rates(1, 1, 1, cpu_bytes=20, cpu_operations=100)
    assert plan.seconds_on_cpu(load, rates) == 2 + 6


def test_on_a_device_copies_and_operations_overlap():
    load = plan.Load(sent=30, brought=10, operations=600, largest=0)
    rates = plan.Rates(link=10, latency=0.5, device_operations=300, cpu_bytes=1, cpu_operations=1)
    assert plan.seconds_on_device(load, rates) == 0.5 + 3 + 1
    assert plan.seconds_on_device(load, replace(rates, device_operations=100)) == 0.5 + 6 + 1


def test_a_device_wins_where_it_takes_clearly_less_time():
    assert plan.device_wins(LARGE, RATES)
    assert not plan.device_wins(LARGE, SLOW)
    small = plan.load(500, rows=100, count=2, k=4, m=1, largest=50)
    assert not plan.device_wins(small, RATES)
    seconds = plan.seconds_on_device(LARGE, RATES)
    bytes_of_cpu = LARGE.sent + LARGE.brought
    rates = replace(RATES, cpu_operations=1e30, cpu_bytes=bytes_of_cpu / (1.2 * seconds))
    assert not plan.device_wins(LARGE, rates)
    assert plan.device_wins(LARGE, replace(rates, cpu_bytes=bytes_of_cpu / (1.3 * seconds)))


@pytest.mark.parametrize("change", [{"k": 5}, {"m": 2}, {"count": 10**7}, {"rows": 10**9}])
def test_more_of_anything_takes_longer(change):
    sizes = {"rows": 50_000_000, "count": 10**6, "k": 4, "m": 1, "largest": 50}
    more = plan.load(250_000_000, **{**sizes, **change})
    assert plan.seconds_on_cpu(more, RATES) > plan.seconds_on_cpu(LARGE, RATES)


def test_floats_are_half_as_long():
    sizes = {"rows": 50_000_000, "count": 10**6, "k": 4, "m": 1, "largest": 50}
    half = plan.load(250_000_000, itemsize=4, **sizes)
    assert (half.sent, half.largest) == (LARGE.sent // 2, LARGE.largest // 2)


# The choice


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of one's own for what is kept, whatever the system."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    costs.forget()
    yield tmp_path
    costs.forget()


@pytest.fixture
def on():
    if reason := build.available():
        pytest.skip(reason)
    device.forget()
    with standin.installed() as found:
        yield found
    device.forget()


@pytest.fixture
def measured(on, monkeypatch):
    """How often rates were measured; fits of any size are worth looking for a device."""
    calls = []

    def measure(number):
        calls.append(number)
        return measure.rates

    measure.rates, measure.calls = replace(RATES, latency=1e-9), calls
    monkeypatch.setattr(costs, "_measure", measure)
    monkeypatch.setattr(costs, "_WORTH", 0.0)
    return measure


def data(count=40, n=20, k=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, n, k)), rng.normal(size=(count, n))


def test_a_shared_design_is_read_once():
    load = plan.shared_load(1000, 20, 10**6)
    assert load.sent == 8 * 1000 * (10**6 + 20)
    assert (
        load.operations
        < plan.load(10**9, rows=10**9, count=10**6, k=20, m=1, largest=1000).operations
    )
    rates = plan.Rates(
        link=5e10, latency=1e-3, device_operations=1e13, cpu_bytes=1e10, cpu_operations=1e11
    )
    assert plan.device_wins(load, rates)
    assert not plan.device_wins(plan.shared_load(10, 2, 100), rates)


def test_the_result_says_what_was_chosen(measured):
    X, y = data()
    assert gpuols.fit(X, y).engine == "cuda:0"
    assert gpuols.fit(X.astype("f4"), y, weights=np.ones(20)).engine == "cuda:0"
    table = X.reshape(-1, 3), y.reshape(-1), np.repeat(np.arange(40), 20)
    assert gpuols.fit_groups(*table).engine == "cuda:0"
    measured.rates = SLOW
    costs.forget()
    costs._file().unlink()
    assert gpuols.fit(X, y).engine.startswith("cpu:num")
    assert gpuols.fit_groups(*table).engine.startswith("cpu:num")
    assert gpuols.fit(X, y, device="cuda").engine == "cuda:0"


def test_moments_are_reduced_where_that_is_sooner(on, measured):
    X, y = data()
    del on.launches[:]
    gpuols.moments(X, y)
    assert "fit_batch" in {name for name, *_ in on.launches}


def test_what_a_device_does_not_solve_stays_on_the_cpu(measured):
    X, y = data()
    assert gpuols.fit(X, y, solver="accurate").engine.startswith("cpu:num")
    assert gpuols.fit(X, y, device="cpu:numpy").engine == "cpu:numpy"
    assert measured.calls == []


def test_responses_on_one_design_go_to_a_device_too(measured):
    X, y = data()
    assert gpuols.fit(X[0], y.T[:20]).engine == "cuda:0+cpu:numpy"
    assert gpuols.fit(X[:1], y).engine == "cuda:0+cpu:numpy"


def test_small_fits_do_not_look_for_a_device(monkeypatch):
    def look(number=0):
        raise AssertionError("it looks for a device")

    monkeypatch.setattr(device, "why_not", look)
    monkeypatch.setattr(costs, "_has_driver", lambda: True)
    assert gpuols.fit(*data()).engine.startswith("cpu:num")
    with pytest.raises(AssertionError, match="looks for"):
        costs.device_for(lambda: LARGE)


@pytest.mark.parametrize("system", ["linux", "win32"])
def test_without_a_driver_cupy_is_not_imported(monkeypatch, system):
    asked, there = [], []

    def load(name):
        asked.append(name)
        if not there:
            raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(costs.ctypes, "CDLL", load)
    monkeypatch.setattr(device, "why_not", lambda number=0: asked.append(number) or "broken")
    name = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}[system]
    costs.forget()
    assert [costs.device_for(lambda: LARGE) for _ in range(2)] == ["cpu", "cpu"]
    assert asked == [name]
    there.append(name)
    costs.forget()
    assert costs.device_for(lambda: LARGE) == "cpu"
    assert asked == [name, name, 0]


def test_without_a_device_nothing_is_measured(on, measured):
    on.count = 0
    device.forget()
    assert costs.device_for(lambda: LARGE) == "cpu"
    assert measured.calls == []


def test_a_regression_that_the_device_has_no_room_for_stays_on_the_cpu(on, measured, monkeypatch):
    large = replace(LARGE, largest=on.memory // 4)
    assert costs.device_for(lambda: large) == "cuda:0"
    assert costs.device_for(lambda: replace(LARGE, largest=on.memory)) == "cpu"


@pytest.mark.parametrize("error", [MemoryError("all taken"), DeviceError(*"abcd")])
def test_where_nothing_can_be_measured_the_cpu_does_it(measured, monkeypatch, error):
    def measure(number):
        measured.calls.append(number)
        raise error

    monkeypatch.setattr(costs, "_measure", measure)
    assert [costs.device_for(lambda: LARGE) for _ in range(2)] == ["cpu", "cpu"]
    assert measured.calls == [0]
    assert not costs._file().exists()


# The rates


def test_rates_are_measured_once(measured):
    assert costs.rates_of(0) == measured.rates == costs.rates_of(0)
    costs.forget()
    assert costs.rates_of(0) == measured.rates
    assert measured.calls == [0]


@pytest.mark.parametrize("change", ["name", "threads", "engine"])
def test_rates_of_another_machine_are_others(on, measured, monkeypatch, change):
    costs.rates_of(0)
    before = json.loads(costs._file().read_text())
    if change == "name":
        on.name = "NVIDIA Another"
        device.forget()
    elif change == "engine":
        monkeypatch.setattr(costs, "choose", lambda name: SimpleNamespace(NAME="cpu:another"))
    else:
        monkeypatch.setenv("GPUOLS_NUM_THREADS", "7")
    costs.rates_of(0)
    after = json.loads(costs._file().read_text())
    assert (len(before), len(after)) == (1, 2)
    assert before.items() <= after.items()


def written(rates):
    return json.dumps({costs._key(0): rates})


@pytest.mark.parametrize(
    "text",
    [
        lambda: "",
        lambda: "{",
        lambda: "[1]",
        lambda: '"words"',
        lambda: b"\xff\xfe\x00",
        lambda: written({"link": 1.0}),
        lambda: written([1, 2]),
        lambda: written({**vars(RATES), "more": 1.0}),
        lambda: written({**vars(RATES), "link": 0.0}),
        lambda: written({**vars(RATES), "link": "fast"}),
        lambda: written({**vars(RATES), "link": None}),
    ],
)
def test_what_can_t_be_read_is_measured_again(measured, text):
    file, found = costs._file(), text()
    file.parent.mkdir(parents=True)
    file.write_bytes(found if isinstance(found, bytes) else found.encode())
    assert costs.rates_of(0) == measured.rates
    assert measured.calls == [0]
    costs.forget()
    assert costs.rates_of(0) == measured.rates
    assert measured.calls == [0]
    assert [path.name for path in file.parent.iterdir()] == ["rates.json"]


def test_without_a_folder_rates_are_kept_in_memory(measured, monkeypatch, folder):
    (folder / "file").write_text("")
    monkeypatch.setattr(costs, "_file", lambda: folder / "file" / "gpuols" / "rates.json")
    assert costs.rates_of(0) == costs.rates_of(0) == measured.rates
    assert measured.calls == [0]


def no_home():
    raise RuntimeError("Could not determine home directory.")


def test_without_a_home_rates_are_kept_in_memory(measured, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert costs.rates_of(0) == costs.rates_of(0) == measured.rates


@pytest.mark.parametrize(
    ("system", "where"),
    [("linux", "cache"), ("win32", "local"), ("darwin", "home/Library/Caches")],
)
def test_they_are_kept_where_the_system_keeps_such_things(folder, monkeypatch, system, where):
    monkeypatch.setattr(costs.sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: folder / "home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(folder / "local"))
    assert costs._file() == folder / where / "gpuols" / "rates.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    if system == "linux":
        assert costs._file() == folder / "home" / ".cache" / "gpuols" / "rates.json"


def test_rates_are_those_of_fits(on, monkeypatch):
    monkeypatch.setattr(costs, "_COUNTS", {"read": 20, "multiply": 2, "send": 40, "device": 2})
    monkeypatch.setattr(costs, "_NARROW", (20, 2))
    monkeypatch.setattr(costs, "_WIDE", (50, 6))
    rates = costs._measure(0)
    assert all(0 < value < 1e15 for value in vars(rates).values())
    assert [name for name, *_ in on.launches].count("fit_batch") == 6
