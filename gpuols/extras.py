"""Extras: libraries that gpuols uses where they are installed, each brought by an extra."""

from importlib import import_module
from typing import Any


def needed(name: str, extra: str) -> Any:
    """Library that an extra of this package brings.

    Parameters
    ----------
    name : str
        Of the module.
    extra : str
        Of the extra.

    Returns
    -------
    module
        The library.

    Raises
    ------
    ImportError
        If it is not installed, saying how to get it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f'{name} can\'t be imported ({error}); pip install "gpuols[{extra}]"'
        ) from error
