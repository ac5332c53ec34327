"""Random calls of the verbs: data of every kind of trouble, in every dtype and layout."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Rng = np.random.Generator


@dataclass(eq=False)
class Call:
    """One call of a verb.

    Attributes
    ----------
    verb : str
        "fit", "fit_groups" or "fit_moments".
    X, y, weights : arrays
        The data; weights may be None.
    options : dict
        Keyword options.
    keys : (N,) or None
        Key of each row, for groups.
    cuts : tuple of int
        Where the rows are cut into pieces, for moments.
    mistake : str
        What is wrong with the call, empty where nothing is.
    """

    verb: str
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    options: dict[str, Any]
    keys: np.ndarray | None = None
    cuts: tuple[int, ...] = ()
    mistake: str = ""

    @property
    def arrays(self) -> list[np.ndarray]:
        return [a for a in (self.X, self.y, self.weights, self.keys) if a is not None]


def _column(rng: Rng, earlier: list[np.ndarray], n: int) -> np.ndarray:
    """A column of X: new, or made of the earlier ones."""
    normal = rng.normal(size=n)
    new: list[Callable[[], np.ndarray]] = [
        lambda: normal,
        lambda: normal,
        lambda: rng.integers(-5, 6, n).astype(float),
        lambda: rng.integers(0, 2, n).astype(float),
        lambda: normal + 10.0 ** rng.integers(1, 10),
        lambda: np.full(n, rng.choice([0.0, 0.0, 1.0, 0.1, 1e7])),
        lambda: normal * 10.0 ** rng.integers(-9, 10),
        lambda: 1.7e9 + np.linspace(0.0, rng.choice([1.0, 1e4]), n),
        lambda: np.round(normal, 2) + 1e6,
        lambda: rng.choice([0.3, 0.1 + 0.2], n),
    ]
    made: list[Callable[[], np.ndarray]] = [
        lambda: rng.choice(earlier) * rng.choice([1.0, -1.0, 1e-8, 2.0**40, 1.8]),
        lambda: rng.choice(earlier) * 1.8 + 32.0,
        lambda: sum(earlier),
        lambda: rng.choice(earlier) - rng.choice(earlier),
        lambda: rng.choice(earlier) + 10.0 ** rng.uniform(-14, -2) * normal,
        lambda: 1.0 - sum(earlier),
    ]
    return rng.choice(made if earlier and rng.random() < 0.3 else new)()


def _design(rng: Rng, n: int, k: int) -> np.ndarray:
    columns: list[np.ndarray] = []
    for _ in range(k):
        columns.append(_column(rng, columns, n))
    X = np.stack(columns, axis=-1) if k else np.empty((n, 0))
    if n and k and rng.random() < 0.05:
        X[0, rng.integers(k)] = 1e12
    return X


def _response(rng: Rng, X: np.ndarray) -> np.ndarray:
    n, k = X.shape
    noise = rng.normal(size=n)
    whole = X @ rng.integers(-2, 3, k).astype(float)
    kinds = [
        lambda: X @ rng.normal(size=k) + noise,
        lambda: noise,
        lambda: whole + rng.integers(-3, 4),
        lambda: np.full(n, rng.choice([0.0, 3.0, 0.1])),
        lambda: whole + 10.0 ** rng.integers(-12, 0) * noise,
        lambda: noise + 1e9,
        lambda: rng.integers(-4, 5, n).astype(float),
    ]
    return rng.choice(np.array([*kinds, kinds[0], kinds[0]], object))()


def _weights(rng: Rng, shape: tuple[int, ...]) -> np.ndarray | None:
    plain = rng.uniform(0.5, 2.0, shape)
    kinds: list[Callable[[], np.ndarray]] = [
        lambda: plain,
        lambda: plain * (rng.random(shape) > 0.4),
        lambda: plain * 0.0,
        lambda: plain * 1e100,
        lambda: plain * 1e-100,
        lambda: 10.0 ** rng.uniform(-6, 6, shape),
        lambda: np.where(rng.random(shape) < 0.1, 1e20, plain),
        lambda: rng.integers(0, 4, shape),
        lambda: rng.random(shape) > 0.3,
        lambda: plain.astype(np.float32),
    ]
    return None if rng.random() < 0.5 else kinds[rng.integers(len(kinds))]()


def _spoil(rng: Rng, *arrays: np.ndarray | None) -> None:
    """Put NaN and infinities into a few places."""
    for array in arrays:
        if array is not None and array.dtype.kind == "f" and array.size and rng.random() < 0.6:
            for _ in range(rng.integers(1, 3)):
                array.flat[rng.integers(array.size)] = rng.choice([np.nan, np.nan, np.inf])


def _cast(rng: Rng, a: np.ndarray) -> np.ndarray:
    """The same numbers, or near ones, in another dtype."""
    dtype = rng.choice(["f4", "f2", "i8", "i2", "?", ">f8", "u1"])
    with np.errstate(all="ignore"):
        if np.dtype(dtype).kind in "iu":
            reach = np.iinfo(dtype)
            a = np.clip(np.nan_to_num(np.round(a)), max(reach.min, -(2**53)), min(reach.max, 2**53))
        return a.astype(dtype)


def _laid_out(rng: Rng, a: np.ndarray) -> np.ndarray:
    """The same array in memory of another order, stride, alignment or leave."""
    kind = rng.integers(6)
    if kind == 0:
        a = np.asfortranarray(a)
    elif kind == 1 and a.ndim:
        a = np.repeat(a, 2, axis=-1)[..., ::2]
    elif kind == 2:
        turned = tuple(slice(None, None, -1) for _ in a.shape)
        a = a[turned].copy()[turned]
    elif kind == 3:
        memory = np.empty(a.nbytes + 1, np.uint8)
        odd = memory[1:].view(a.dtype).reshape(a.shape)
        odd[...] = a
        a = odd
    a.flags.writeable = bool(rng.random() < 0.5)
    return a


def _ridge(rng: Rng, lead: tuple[int, ...]) -> Any:
    sizes = [0.0, 1e-6, 0.5, 1e6]
    if rng.random() < 0.7:
        return 0.0
    return rng.choice(sizes, lead) if rng.random() < 0.4 else float(rng.choice(sizes))


def _options(rng: Rng, lead: tuple[int, ...]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "add_intercept": bool(rng.random() < 0.6),
        "ridge": _ridge(rng, lead),
    }
    if rng.random() < 0.5:
        options["solver"] = str(rng.choice(["auto", "cholesky", "accurate", "accurate"]))
    if rng.random() < 0.5:
        options["singular"] = str(rng.choice(["drop", "min_norm", "min_norm", "nan", "raise"]))
    if rng.random() < 0.3:
        options["missing"] = str(rng.choice(["raise", "drop", "drop"]))
    if rng.random() < 0.2:
        options["tol"] = float(rng.choice([1e-13, 1e-8, 1e-4]))
    if rng.random() < 0.2:
        options["batch_size"] = int(rng.integers(1, 4))
    return options


def _scale(rng: Rng, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Now and then, units near the ends of what a float64 holds."""
    if rng.random() < 0.9:
        return X, y
    sizes = [1e150, 1e-150, 1e300, 1e-300, 1e80, 1.0]
    with np.errstate(all="ignore"):
        return X * rng.choice(sizes, X.shape[-1]), y * rng.choice(sizes)


MISTAKES = ("negative weight", "wrong shape", "complex", "unknown option value", "bad ridge")


def _mistaken(rng: Rng, call: Call) -> None:
    """Make a call that must be refused, and say why."""
    call.mistake = str(rng.choice(MISTAKES))
    if call.mistake == "negative weight" and call.y.size:
        n = call.X.shape[-2]
        call.weights = np.full(n, -1.0)
    elif call.mistake == "complex":
        call.X = call.X.astype(complex)
    elif call.mistake == "unknown option value":
        call.options[str(rng.choice(["solver", "singular"]))] = "best"
    elif call.mistake == "bad ridge":
        call.options["ridge"] = -1.0
    else:
        call.mistake = "wrong shape"
        *lead, n, k = call.X.shape
        call.X = np.ones((*lead, n + 7, k))


def make(seed: int, number: int) -> Call:
    """Make call `number` of a seed, always the same one."""
    rng = np.random.default_rng([seed, number])
    n, k = int(rng.integers(0, 16)), int(rng.integers(0, 6))
    if rng.random() < 0.6:
        n += k + 3
    m = (1, 1, 1, 2, 3, 0)[rng.integers(6)]
    verb = str(rng.choice(["fit", "fit", "fit", "fit_groups", "fit_moments"]))
    lead: tuple[int, ...] = ((), (), (1,), (2,), (3,), (2, 2), (0,))[rng.integers(7)]
    keys = None
    if verb == "fit_groups":
        lead = ()
        keys = np.sort(rng.integers(0, 4, n)) if rng.random() < 0.5 else rng.integers(0, 4, n)
        n_designs: tuple[int, ...] = (len(np.unique(keys)),)
    else:
        n_designs = lead
    X = np.empty((*lead, n, k))
    y = np.empty((*lead, n, m))
    for place in np.ndindex(lead):
        X[place] = _design(rng, n, k)
        for i in range(m):
            y[place][:, i] = _response(rng, X[place])
    X, y = _scale(rng, X, y)
    weights = _weights(rng, (*lead, n))
    if rng.random() < 0.2:
        X, y = _cast(rng, X), y if rng.random() < 0.5 else _cast(rng, y)
    if rng.random() < 0.15:
        _spoil(rng, X, y, weights)
    if m == 1 and rng.random() < 0.6:
        y = y[..., 0]
    X, y = _laid_out(rng, X), _laid_out(rng, y)
    if weights is not None:
        weights = _laid_out(rng, weights)
    cuts = tuple(sorted(int(c) for c in rng.integers(0, n + 1, rng.integers(0, 3))))
    call = Call(verb, X, y, weights, _options(rng, n_designs), keys, cuts)
    if verb == "fit_moments":
        call.options.pop("missing", None)
    if rng.random() < 0.03:
        _mistaken(rng, call)
    return call
