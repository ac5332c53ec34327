"""Files that are there whole or not at all: written beside their place, then renamed."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO


@contextmanager
def written(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to write; it takes its place only when the block ends without an error.

    Parameters
    ----------
    path : path
        The file, which may be there already and keeps its permissions then; a link is followed.

    Yields
    ------
    binary file
        To write to.

    Raises
    ------
    OSError
        If it can't be written, or what is there is no plain file.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "what is there is no plain file", str(path))
    beside = target.with_name(f".{target.name[:32]}.{os.urandom(8).hex()}")
    try:
        with beside.open("wb") as file:
            yield file
        if target.exists():
            beside.chmod(stat.S_IMODE(target.stat().st_mode))
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
