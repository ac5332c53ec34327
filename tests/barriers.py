"""Every barrier of the kernels taken away in turn: who notices?

`python -m tests.barriers` prints for each in which modes and orders of the emulator a run without
it does not pass; `--quick` leaves out the mode that looks at answers alone.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import scenes
from emulator import mutate
from scenes import SCENES

from gpuols.engines import kernels

SOURCES = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parents[1] / "kernels").iterdir())
}


class Survey:
    """What the scenes answer with all barriers in place, to hold other answers against."""

    def __init__(self) -> None:
        self.expected, self.used = [], []
        with scenes.engine("check") as machine:
            for scene in SCENES:
                before = len(machine.launches)
                self.expected.append(scene.answer())
                self.used.append({name for name, *_ in machine.launches[before:]})

    def run(self, sources: Mapping[str, str], mode: str, order: str) -> None:
        """Answer the scenes that changed texts reach, until one goes wrong."""
        whole = {name: kernels.source(f"{name}.cu") for name in set().union(*self.used)}
        with _texts(sources), scenes.engine(mode, order):
            changed = {name for name in whole if whole[name] != kernels.source(f"{name}.cu")}
            for scene, used, expected in zip(SCENES, self.used, self.expected, strict=True):
                if used & changed or not changed:
                    for mine, theirs in zip(scene.answer(), expected, strict=True):
                        np.testing.assert_array_equal(mine, theirs)


def survey(runs: Sequence[tuple[str, str]]) -> list[mutate.Removal]:
    """All removals from the kernels, in some modes and orders."""
    return mutate.survey(SOURCES, Survey().run, runs)


@contextmanager
def _texts(sources: Mapping[str, str]) -> Iterator[None]:
    """Kernels made of given files."""
    kernels.source.cache_clear()
    try:
        with mock.patch.object(kernels, "_text", sources.__getitem__):
            yield
    finally:
        kernels.source.cache_clear()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="in mode check alone")
    given = parser.parse_args()
    runs = [run for run in mutate.RUNS if not given.quick or run[0] == "check"]
    found = survey(runs)
    print(mutate.report(found))
    return 0 if all(removal.noticed for removal in found) else 1


if __name__ == "__main__":
    sys.exit(main())
