"""The cases that are timed on a device, and the least time each can take."""

import numpy as np

import gpuols
from benchmarks import floors
from benchmarks.cuda import cases
from benchmarks.cuda import floors as device_floors
from benchmarks.machine import Machine


def test_data_made_in_chunks_has_noise_and_can_be_made_again(monkeypatch):
    case = cases.Case("T", 7, 50, 3, 0.5, {})
    monkeypatch.setattr(cases, "_CHUNK_BYTES", 2 * 50 * 3 * 8)
    X, y = case.make(np)
    assert (X.shape, y.shape) == ((7, 50, 3), (7, 50))
    assert len(np.unique(X)) == X.size
    residual = y - np.einsum("bnk,bk->bn", X, gpuols.fit(X, y, device="cpu:numpy").params)
    assert np.all((residual.std(axis=1) > 0.5) & (residual.std(axis=1) < 2))
    assert np.linalg.cond(X).max() < 3
    for again, first in zip(case.make(np), (X, y), strict=True):
        np.testing.assert_array_equal(again, first)


def test_bytes_and_operations_of_a_case():
    case = cases.Case("T", 10, 100, 4, 0.5, {})
    assert case.bytes() == 10 * 100 * 5 * 8
    assert case.bytes(4) == case.bytes() / 2
    assert case.flops() == 10 * 100 * 5 * 6
    assert case.flops(add_intercept=True) == 10 * 100 * 6 * 7


def test_a_letter_chooses_one_case():
    for several in (cases.CASES, cases.QUICK):
        for letter in "ABCD":
            assert [case.letter for case in several if letter in case.name] == [letter]


def test_the_floor_is_the_slower_of_reading_and_arithmetic():
    assert floors.floor_s({"read": 10.0, "gemm": 5.0}, 100, 5) == 10
    assert floors.floor_s({"read": 10.0, "gemm": 5.0}, 100, 100) == 20
    assert floors.floor_s({"read": {"failed": "why"}, "gemm": 5.0}, 100, 100) is None
    assert device_floors.transfer_s({"to_device_pinned": 4.0}, 8) == 2
    assert device_floors.transfer_s({}, 8) is None


def test_rates_that_can_be_measured_here_are(monkeypatch):
    monkeypatch.setattr(floors, "_ROUNDS", 2)
    host = Machine(np, "cpu", lambda: None, lambda: None)
    assert min(f(host, 2**16) for f in (device_floors.copy, device_floors.read)) > 0
    assert floors.gemm(host, 16) > 0
