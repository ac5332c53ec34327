"""Devices that CUDA tests run on, pretended or real, and arrays there."""

import numpy as np
import pytest
from emulator import build, standin

from gpuols.engines import device
from gpuols.engines.verdicts import Verdicts

on_device = pytest.param("device", marks=pytest.mark.gpu)
in_order = pytest.mark.parametrize("machine", ["fifo", on_device], indirect=True)
"""One order of threads is enough: the kernels have been run in both."""
uncovered = pytest.mark.uncovered
"""Other tests reach the same lines of Python: to note them doubles the time of many cases."""


@pytest.fixture(
    scope="module",
    params=["fifo", "random", on_device],
)
def machine(request):
    """Stand-in that pretends to be a device, in one order of threads; None on a real one."""
    device.forget()
    if request.param == "device":
        if reason := device.why_not():
            pytest.skip(reason)
        yield None
        return
    if reason := build.available():
        pytest.skip(reason)
    with standin.installed(order=request.param, mode="check") as found:
        yield found
    device.forget()


@pytest.fixture
def pretended(machine):
    """The stand-in itself."""
    if machine is None:
        pytest.skip("only the stand-in can be looked into")
    return machine


@pytest.fixture
def unanchored(monkeypatch):
    """No anchored sums: all answers come of those that have the bits of the CPU's."""
    monkeypatch.setattr(Verdicts, "stand_on_anchored_sums", lambda *_: False)


def upload(array: np.ndarray | None):
    """Array on the device, its strides those that it has on the host."""
    if array is None or not array.size:
        return array if array is None else device.upload(array)
    order = np.argsort([-abs(step) for step in array.strides], kind="stable")
    repeated = tuple(slice(None, 1) if step == 0 else slice(None) for step in array.strides)
    backwards = tuple(slice(None, None, -1 if step < 0 else 1) for step in array.strides)
    stored = device.upload(
        np.ascontiguousarray(array[repeated][backwards].transpose(*order.tolist()))
    )
    there = stored.transpose(*np.argsort(order).tolist())[backwards]
    return np.broadcast_to(there, array.shape)
