"""Values computed once, and without waiting for anybody."""

import threading

import pytest

from gpuols.lazy import lazy


class Slow:
    def __init__(self, gate=None):
        self.gate, self.times = gate, 0

    @lazy
    def value(self):
        """What it is."""
        self.times += 1
        if self.gate is not None:
            self.gate.wait(10)
        return object()


def test_a_value_is_computed_once():
    slow = Slow()
    assert slow.value is slow.value
    assert (slow.times, slow.__dict__["value"]) == (1, slow.value)
    assert Slow().value is not slow.value


def test_the_property_itself_is_there_to_be_looked_at():
    assert isinstance(Slow.value, lazy)
    assert Slow.value.__doc__ == "What it is."


def test_what_fails_is_computed_again():
    class Fails:
        good = False

        @lazy
        def value(self):
            if not self.good:
                raise ValueError("not yet")
            return 1

    fails = Fails()
    with pytest.raises(ValueError, match="not yet"):
        _ = fails.value
    fails.good = True
    assert fails.value == 1


def test_nobody_waits_for_another():
    gate = threading.Event()
    blocked = Slow(gate)
    thread = threading.Thread(target=lambda: blocked.value)
    thread.start()
    found = []
    other = threading.Thread(target=lambda: found.append(Slow().value), daemon=True)
    other.start()
    other.join(5)
    gate.set()
    thread.join()
    assert len(found) == 1


def test_all_threads_get_the_same_value():
    gate = threading.Barrier(4)
    shared, found = Slow(gate), []
    threads = [threading.Thread(target=lambda: found.append(shared.value)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.times == 4
    assert {id(value) for value in found} == {id(shared.value)}


def test_who_is_its_own_value_does_not_keep_itself():
    class Same:
        @lazy
        def value(self):
            return self

    same = Same()
    assert same.value is same
    assert same.__dict__ == {}
