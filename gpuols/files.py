"""Files: written beside their place and renamed, so that they are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path


@contextmanager
def written_whole(path: str | PathLike[str]) -> Iterator[Path]:
    """Name a file to write to, which takes the place of `path` unless something goes wrong.

    Parameters
    ----------
    path : path
        Where the file is to be.

    Yields
    ------
    Path
        Where to write it.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
    try:
        yield beside
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
