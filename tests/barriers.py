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
    """What the scenes answered when first run, with all barriers, to hold other answers against."""

    def __init__(self) -> None:
        self.answers = []

    def run(self, sources: Mapping[str, str], mode: str, order: str, file: str | None) -> None:
        """Answer the scenes that kernels made of a file reach, until one goes wrong."""
        with _texts(sources), scenes.engine(mode, order) as machine:
            if not self.answers:
                self.answers = [_answer(machine, scene) for scene in SCENES]
            for scene, (used, expected) in zip(SCENES, self.answers, strict=True):
                if file is None or any(_is_made_of(name, file) for name in used):
                    for mine, theirs in zip(scene.answer(), expected, strict=True):
                        np.testing.assert_array_equal(mine, theirs)


def _answer(machine, scene) -> tuple[set[str], list[np.ndarray]]:
    """Kernels that a scene uses, and its answers."""
    before = len(machine.launches)
    answers = scene.answer()
    return {name for name, *_ in machine.launches[before:]}, answers


def _is_made_of(kernel: str, file: str) -> bool:
    return f'#line 1 "{file}"' in kernels.source(f"{kernel}.cu")


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
