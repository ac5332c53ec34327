"""Random calls of the verbs, every answer judged against exact ones.

`python -m tests.fuzzing --calls 20000` tries 20,000 calls; each failure is printed with the
command that repeats it alone.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import judging
import numpy as np
from calls import Call, make
from case import Regression, keep_rows, regressions

import gpuols
from gpuols import FitError, InputError, InputTypeError, Status

CHUNK = 100


class Report(NamedTuple):
    """What came of some calls."""

    failures: list[str]
    regressions: int
    aside: int

    def __add__(self, other: "Report") -> "Report":
        return Report(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def answer(call: Call) -> gpuols.Result:
    """Call gpuols."""
    X, y, weights, options = call.X, call.y, call.weights, call.options
    if call.verb == "fit":
        return gpuols.fit(X, y, weights=weights, **options)
    if call.verb == "fit_groups":
        return gpuols.fit_groups(X, y, call.keys, weights=weights, **options)
    forming = {name: options[name] for name in ("add_intercept", "solver") if name in options}
    rows, ends = X.ndim - 2, (0, *call.cuts, X.shape[-2])
    pieces = []
    for i, j in pairwise(ends):
        part = (slice(None),) * rows + (slice(i, j),)
        w = None if weights is None else weights[..., i:j]
        pieces.append(gpuols.moments(X[part], y[part], weights=w, **forming))
    solving = {name: value for name, value in options.items() if name != "solver"}
    return gpuols.fit_moments(sum(pieces), **solving)


def asked(call: Call) -> Iterator[Regression]:
    """The regressions a call asks for."""
    if call.keys is None:
        yield from regressions((call.X, call.y, call.weights), call.options)
        return
    groups = np.unique(call.keys)
    ridge = np.broadcast_to(call.options["ridge"], groups.shape)
    y = call.y[..., None] if call.y.ndim < 2 else call.y
    for g, key in enumerate(groups):
        rows = call.keys == key
        w = None if call.weights is None else call.weights[rows]
        intercept = call.options["add_intercept"]
        whole = Regression((g,), call.X[rows], y[rows], w, intercept, float(ridge[g]))
        if call.options.get("missing") == "drop":
            yield from (keep_rows(whole, i) for i in range(y.shape[1]))
        else:
            yield whole


def read_everything(result: gpuols.Result, call: Call) -> None:
    """Ask a result for all it can say: nothing may warn or raise."""
    for name in ("log10_pvalues", "llf", "aic", "bic", "normalized_cov", "solved_precisely"):
        getattr(result, name)
    result.conf_int()
    result.cov_params()
    result.summary()
    repr(result)
    groups = {} if call.keys is None else {"groups": call.keys}
    if call.weights is None or call.weights.ndim < call.X.ndim:
        result.predict(call.X, **groups)


def refused(call: Call) -> str:
    """Why a call must be refused for what the data holds, empty where it need not be."""
    if call.options.get("missing") == "raise":
        arrays = [
            a for a in (call.X, call.y, call.weights) if a is not None and a.dtype.kind == "f"
        ]
        if any(np.isnan(a).any() for a in arrays):
            return "missing values"
    return ""


def deficient(call: Call) -> tuple[bool, bool]:
    """Whether some regression is surely, and whether one may be, rank deficient."""
    surely = maybe = False
    if options_of(call).get("solver") == "cholesky":
        return False, False
    for each in asked(call):
        finite, _, exact = judging.known(each, False)
        if each.ridge or not finite.any():
            continue
        close = bool((exact.blurred | (np.abs(exact.margins) < 1)).any())
        lacking = exact.nobs > exact.rank and not exact.kept.all()
        surely |= lacking and not close
        maybe |= lacking or close
    return surely, maybe


def judge(call: Call) -> Report:
    """Make the call and say what is wrong with what came of it."""
    before = [array.tobytes() for array in call.arrays]
    expected = call.mistake or refused(call)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = answer(call)
            read_everything(result, call)
    except (InputError, InputTypeError) as error:
        return Report([] if expected else [f"refused: {error}"], 0, 0)
    except FitError as error:
        surprising = call.options.get("singular") != "raise" or not deficient(call)[1]
        return Report([f"raised: {error}"] if surprising else [], 0, 0)
    if expected:
        return Report([f"not refused in spite of {expected}"], 0, 0)
    report = Report([], 0, 0)
    if [array.tobytes() for array in call.arrays] != before:
        report.failures.append("an input was written to")
    if call.options.get("singular") == "raise" and deficient(call)[0]:
        report.failures.append("singular='raise' did not raise")
    precisely = {"cholesky": False, "accurate": True}.get(options_of(call).get("solver", "auto"))
    if precisely is not None and (np.asarray(result.solved_precisely) != precisely).any():
        report.failures.append(f"solved_precisely {result.solved_precisely}")
    said = judging.numbers(result)
    for each in asked(call):
        mine = judging.said_of(said, each)
        complaints, aside = judging.judge(each, mine, options_of(call))
        failures = [f"regression {each.place}{words}" for words in complaints]
        report += Report(failures, each.y.shape[1], aside)
    return report


def options_of(call: Call) -> dict[str, Any]:
    """The options to judge by: fast moments leave no rows to look at again."""
    if call.verb != "fit_moments":
        return call.options
    if call.options.get("solver") == "accurate":
        return call.options | {"rows": False}
    return call.options | {"solver": "cholesky", "overflow": Status.NONFINITE}


def run(seed: int, numbers: range) -> Report:
    """Judge some calls of a seed."""
    report = Report([], 0, 0)
    for number in numbers:
        call = make(seed, number)
        try:
            one = judge(call)
        except Exception as error:  # a crash is what is looked for
            one = Report([f"{type(error).__name__}: {error}"], 0, 0)
        how = f"python -m tests.fuzzing --seed {seed} --call {number}"
        report += one._replace(failures=[f"{how}: {words}" for words in one.failures])
    return report


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(np.random.SeedSequence().entropy % 2**32))
    parser.add_argument("--call", type=int, help="this call alone, with its data")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    given = parser.parse_args()
    print(f"seed {given.seed}")
    if given.call is not None:
        call = make(given.seed, given.call)
        print(call)
        total = run(given.seed, range(given.call, given.call + 1))
    else:
        chunks = [range(i, min(i + CHUNK, given.calls)) for i in range(0, given.calls, CHUNK)]
        total = Report([], 0, 0)
        with ProcessPoolExecutor(given.jobs) as pool:
            for part in pool.map(partial(run, given.seed), chunks):
                print("\n".join(part.failures), end="\n" if part.failures else "", flush=True)
                total += part
    print(
        f"{total.regressions} regressions, {total.aside} near a threshold, "
        f"{len(total.failures)} complaints"
    )
    for words in total.failures if given.call is not None else ():
        print(words)
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
