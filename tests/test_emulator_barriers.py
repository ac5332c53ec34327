"""Every barrier of the kernels is needed, and the emulator notices when it is not there."""

import barriers
import pytest
from emulator import build

pytestmark = [
    pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here"),
    pytest.mark.uncovered,
]


def test_every_barrier_is_missed():
    found = barriers.survey([("check", "fifo")])
    assert {removal.file for removal in found} >= {"fit_batch.cu", "panel.cu", "solve.cuh"}
    assert [(removal.file, removal.line) for removal in found if not removal.noticed] == []
