"""What the command line asks for by name."""

from argparse import ArgumentTypeError
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any


def cases(text: str | None, known: Sequence[Any]) -> list[Any]:
    """Cases by their letters, separated by commas, in the order in which they are known.

    Raises
    ------
    ValueError
        If there is no case of such a letter, or none is named.
    """
    letters = [case.letter for case in known]
    wanted = letters if text is None else _words(text)
    if not wanted:
        raise ValueError(f"no case is named: there are {', '.join(letters)}")
    for word in wanted:
        if word not in letters:
            raise ValueError(f"no case {word!r}: there are {', '.join(letters)}")
    return [case for case in known if case.letter in wanted]


def peers(text: str | None, known: Iterable[str]) -> list[str]:
    """Rivals whose names contain one of the words, separated by commas; case does not matter.

    Raises
    ------
    ValueError
        If no rival's name contains a word.
    """
    names = list(known)
    words = [""] if text is None else _words(text)
    for word in words:
        if not any(word.lower() in name.lower() for name in names):
            raise ValueError(f"no rival {word!r}: there are {', '.join(names)}")
    return [name for name in names if any(word.lower() in name.lower() for word in words)]


def rounds(text: str) -> int:
    """How many times each is run: a positive number."""
    if not (text.isdecimal() and int(text) > 0):
        raise ArgumentTypeError(f"{text!r} is no positive number")
    return int(text)


def new_file(text: str) -> Path:
    """Where a file is to be written when all is measured: in a directory where that is possible."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        what = "a directory" if path.is_dir() else f"in {path.parent}, which is no directory"
        raise ArgumentTypeError(f"{text!r} is {what}: name a file in one that is there")
    try:
        with TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        what = f"in {path.parent}, where nothing can be written ({error.strerror})"
        raise ArgumentTypeError(f"{text!r} is {what}: name a file elsewhere") from error


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
