"""Every line of the kernels is reached."""

from collections import Counter
from pathlib import Path

import pytest
import scenes
from emulator import build

from gpuols.engines import device

pytestmark = pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")

KERNELS = Path(__file__).parents[1] / "kernels"


def test_every_line_of_the_kernels_is_reached():
    with scenes.engine("coverage") as machine:
        assert device.why_not() == ""
        for scene in scenes.SCENES:
            scene.answer()
        executed = Counter()
        for module in machine.modules:
            executed.update(module.executed())
    assert {file for file, _ in executed} == {path.name for path in KERNELS.iterdir()}
    assert sorted(place for place, times in executed.items() if not times) == []
