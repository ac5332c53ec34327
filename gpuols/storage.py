"""A result in one .npz file: arrays as they are, words as JSON, nothing pickled."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from gpuols.arrays import NUMPY
from gpuols.engines.solution import Solution
from gpuols.errors import InputError, InputTypeError
from gpuols.files import written
from gpuols.moments import Moments
from gpuols.refined import Refined
from gpuols.selection import listed
from gpuols.sums import Low

_FORMAT = 2


def save(path: str | PathLike[str], fields: Mapping[str, Any]) -> None:
    """Write the fields of a result.

    Parameters
    ----------
    path : path
        The file.
    fields : mapping
        The fields of a `Result`.

    Raises
    ------
    InputTypeError
        If a key is an object that JSON can't hold.
    """
    found: dict[str, NDArray[Any]] = {}
    words: dict[str, Any] = {"format": _FORMAT}
    for name, value in fields.items():
        if name == "_moments":
            _collect("moments", value, found, words)
        elif name == "_solution":
            _collect("solution", value, found, words)
        elif name == "_refined":
            if value is not None:
                found["refined.places"] = value.places
                _collect("refined.moments", value.moments, found, words)
        elif name == "keys":
            words["keys"] = _pack_keys(value, found)
        elif name in ("key_frame", "key_rows"):
            continue
        elif isinstance(value, np.ndarray):
            found[name] = value
        else:
            words[name] = value
    found["words"] = np.array(json.dumps(words))
    with written(path) as file:
        np.savez(file, **cast("dict[str, Any]", found))


def load(path: str | PathLike[str]) -> dict[str, Any]:
    """Read what `save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        The fields of a `Result`.

    Raises
    ------
    InputError
        If it is no such file.
    """
    from zipfile import BadZipFile  # a slow import, and seldom needed

    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        return _fields(found, json.loads(str(found.pop("words"))))
    except (BadZipFile, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "path", f"{path} ({error})", "a file that Result.save wrote", "check the name"
        ) from error


def _fields(found: dict[str, NDArray[Any]], words: dict[str, Any]) -> dict[str, Any]:
    if words.pop("format") != _FORMAT:
        raise ValueError("another format")
    solution = Solution(**_restore("solution", found, words))
    moments = _restore_moments("moments", found, words)
    refined = None
    if "refined.places" in found:
        places = found.pop("refined.places")
        refined = Refined(places, _restore_moments("refined.moments", found, words))
    keys = _unpack_keys(words.pop("keys"), found)
    return {
        **{name: tuple(v) if isinstance(v, list) else v for name, v in words.items()},
        **found,
        "kind": NUMPY,
        "keys": keys,
        "_moments": moments,
        "_solution": solution,
        "_refined": refined,
    }


def _collect(group: str, part: Any, found: dict[str, NDArray[Any]], words: dict[str, Any]) -> None:
    for name, value in vars(part).items():
        if isinstance(value, Low):
            _collect(f"{group}.low", value, found, words)
        elif isinstance(value, (np.ndarray, np.generic)):
            found[f"{group}.{name}"] = np.asarray(value)
        elif value is not None:
            words[f"{group}.{name}"] = value


def _restore_moments(group: str, found: dict[str, NDArray[Any]], words: dict[str, Any]) -> Moments:
    low = _restore(f"{group}.low", found, words)
    return Moments(**_restore(group, found, words), low=Low(**low) if low else None)


def _restore(group: str, found: dict[str, NDArray[Any]], words: dict[str, Any]) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    for source in (found, words):
        for name in [name for name in source if name.startswith(f"{group}.")]:
            value = source.pop(name)
            taken[name.rpartition(".")[2]] = tuple(value) if isinstance(value, list) else value
    return taken


def _pack_keys(keys: Any, found: dict[str, NDArray[Any]]) -> Any:
    """Keep each column of keys as an array, or as JSON where it holds objects."""
    if keys is None:
        return None
    columns = keys if isinstance(keys, tuple) else (keys,)
    one = not isinstance(columns[0], np.ndarray)
    packed: list[Any] = []
    for number, part in enumerate(columns):
        column = listed(part) if one else part
        plain = column.dtype.kind not in "OT"
        if plain:
            found[f"keys.{number}"] = column
        packed.append(None if plain else [column.dtype.char, _as_json(column)])
    return {"several": isinstance(keys, tuple), "one": one, "columns": packed}


def _as_json(column: NDArray[Any]) -> list[Any]:
    plain = [None if v is None or v != v else v for v in column.tolist()]
    if not all(v is None or isinstance(v, (str, int, float, bool)) for v in plain):
        raise InputTypeError(
            "keys", "objects", "strings, numbers or None", "fit with keys of a plain dtype"
        )
    return plain


def _unpack_keys(packed: Any, found: dict[str, NDArray[Any]]) -> Any:
    if packed is None:
        return None
    columns = []
    for number, stored in enumerate(packed["columns"]):
        if stored is None:
            column = found.pop(f"keys.{number}")
        else:
            column = np.empty(len(stored[1]), stored[0])
            column[:] = stored[1]
        columns.append(column[0] if packed["one"] else column)
    return tuple(columns) if packed["several"] else columns[0]
