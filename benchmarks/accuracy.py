"""Digits beside other solvers, and what OK is worth: ``python -m benchmarks.accuracy``.

Three parts in one run: NIST's linear regressions; families of hard regressions beside Householder
QR; fresh random regressions, to count those called OK that are not. The answers are exact for the
binary64 data that the solvers are given.
"""

import argparse
import functools
import itertools
import multiprocessing
import os
from concurrent.futures import Executor, ProcessPoolExecutor
from importlib import metadata
from typing import Any

import threadpoolctl

import gpuols
from benchmarks import acceptance, against_qr, choice, nist, record, stress
from benchmarks.digits import lre
from benchmarks.rivals import LIBRARIES, RIVALS
from gpuols import Status
from gpuols.options import THREADS_VARIABLE, threads

_SOLVERS = ("accurate", "auto", "cholesky")
_AT_ONCE = 50

Figures = list[dict[str, Any]]


def main() -> None:
    """Run the parts, print a table for each, write JSON if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer random regressions")
    parser.add_argument("--seed", type=int, default=1, help="of the random regressions")
    parser.add_argument("--json", type=choice.new_file, help="file to write the figures to")
    arguments = parser.parse_args()
    in_cell, in_all = (40, 1_000) if arguments.quick else (300, 48_000)
    seed = arguments.seed
    figures = {**record.machine(), "seed": seed, "libraries": _versions()}
    figures["nist"] = measure_nist()
    show_nist(figures["nist"])
    with _workers() as pool:
        figures["stress"] = measure_stress(pool, seed, in_cell)
        show_stress(figures["stress"])
        figures["acceptance"] = measure_acceptance(pool, seed, in_all)
        show_acceptance(figures["acceptance"])
    if arguments.json:
        record.write(arguments.json, figures)


def measure_nist() -> Figures:
    """Digits of the worst coefficient and of the worst standard error, by set and solver."""
    found = []
    for data in nist.datasets():
        for solver in _SOLVERS:
            result = gpuols.fit(data.X, data.y, add_intercept=data.add_intercept, solver=solver)
            row = _digits(data, f"gpuols {solver}", result.params, result.bse)
            row["status"] = Status(int(result.status)).name
            row["solved_precisely"] = bool(result.solved_precisely)
            row["error_bound"] = float(result.error_bound)
            found.append(row)
        for name, solve in RIVALS.items():
            try:
                params, bse = solve(data.X, data.y, data.add_intercept)
            except ImportError as error:
                found.append({"set": data.name, "solver": name, "missing": str(error)})
            else:
                found.append(_digits(data, name, params, bse))
    return found


def _digits(data: nist.Dataset, solver: str, params: Any, bse: Any) -> dict[str, Any]:
    return {
        "set": data.name,
        "solver": solver,
        "params": float(lre(params, data.params).min()),
        "bse": None if bse is None else float(lre(bse, data.bse).min()),
    }


def measure_stress(pool: Executor, seed: int, count: int) -> Figures:
    """Every family at every difficulty."""
    places = itertools.product(stress.FAMILIES, stress.DIFFICULTIES)
    families, difficulties = zip(*places, strict=True)
    one = functools.partial(against_qr.cell, seed, count=count)
    return list(pool.map(one, families, difficulties))


def measure_acceptance(pool: Executor, seed: int, count: int) -> Figures:
    """Draws until there are enough regressions with exact answers."""
    draws: Figures = []
    while sum(draw["regressions"] for draw in draws) < count:
        places = range(len(draws), len(draws) + _AT_ONCE)
        draws += pool.map(functools.partial(acceptance.check, seed), places)
    return acceptance.summarise(draws)


def show_nist(found: Figures) -> None:
    """Print digits of coefficients, then of standard errors."""
    sets = list(dict.fromkeys(row["set"] for row in found))
    for name, title in (("params", "coefficients"), ("bse", "standard errors")):
        print(f"\nNIST, digits of {title} (16 at most; ? not OK, * solved precisely)")
        print(f"{'':<18}" + "".join(f"{one:>10}" for one in sets))
        for solver in dict.fromkeys(row["solver"] for row in found):
            rows = [row for row in found if row["solver"] == solver]
            if "missing" in rows[0]:
                print(f"{solver:<18}  {rows[0]['missing']}")
            elif rows[0][name] is not None:
                print(f"{solver:<18}" + "".join(f"{_mark(row, name):>10}" for row in rows))


def _mark(row: dict[str, Any], name: str) -> str:
    doubtful = "?" if row.get("status", "OK") != "OK" else ""
    return f"{row[name]:.1f}{doubtful}{'*' if row.get('solved_precisely') else ''}"


def show_stress(found: Figures) -> None:
    """Print digits that 95% of regressions reach, gpuols beside QR."""
    print(
        f"\n{stress.ROWS} x {stress.COLUMNS}, digits of coefficients that 95% reach, by difficulty"
    )
    print(f"{'':<44}" + "".join(f"{one:>7.0e}" for one in stress.DIFFICULTIES))
    lines = {
        "QR": lambda row: _one_decimal(row["qr_digits"]),
        "gpuols accurate": lambda row: _one_decimal(row["accurate_digits"]),
        "gpuols auto, those OK": lambda row: _one_decimal(row["auto_digits"]),
        "% OK": lambda row: _percent(row["auto_ok"], row["regressions"]),
        "% OK, solved precisely": lambda row: _percent(
            row["auto_solved_precisely"], row["regressions"]
        ),
        "% rank deficient": lambda row: _percent(row["rank_deficient"], row["regressions"]),
    }
    for family in stress.FAMILIES:
        rows = [row for row in found if row["family"] == family]
        for start, (name, text) in zip([family, *[""] * 5], lines.items(), strict=True):
            print(f"{start:<26}{name:<24}" + "".join(f"{text(row):>7}" for row in rows))
    below = [f"{row['family']} at {row['difficulty']:.0e}" for row in found if row["below_qr"]]
    print(f"accurate has fewer digits than QR in {len(below)} cells", *below, sep="\n  ")


def _one_decimal(digits: float | None) -> str:
    return "-" if digits is None else f"{digits:.1f}"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def show_acceptance(found: Figures) -> None:
    """Print what solver="auto" called OK, and how wrong the worst of it was."""
    print('\nsolver="auto" on random regressions; ratios are of error to error bound')
    print(
        f"{'ensemble':<18}{'tol':>7}{'regressions':>12}{'OK':>8}{'false':>7}{'worst error':>13}"
        f"{'ratio':>7}{'precise':>9}{'beyond':>8}{'solved precisely':>18}{'needlessly':>12}"
    )
    for row in found:
        again = row["good_again"] / max(row["good"], 1)
        print(
            f"{row['ensemble']:<18}{row['tol']:>7.0e}{row['regressions']:>12}{row['ok']:>8}"
            f"{len(row['false']):>7}{row['worst_error']:>13.1e}{row['worst_ratio']:>7.2f}"
            f"{row['worst_ratio_precisely']:>9.2f}{len(row['beyond_bound']):>8}"
            f"{row['solved_precisely']:>18}{again:>12.0%}"
        )
    times = len(acceptance.TOLERANCES)
    whole = sum(row["regressions"] for row in found) // times
    wrong = sum(len(row["false"]) for row in found)
    print(f"{whole} regressions, each at {times} tolerances; OK and wrong: {wrong}")


def _workers() -> ProcessPoolExecutor:
    """One process a thread, each on one thread."""
    return ProcessPoolExecutor(threads(), multiprocessing.get_context("spawn"), initializer=_alone)


def _alone() -> None:
    os.environ[THREADS_VARIABLE] = "1"
    threadpoolctl.threadpool_limits(1)


def _versions() -> dict[str, str]:
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


if __name__ == "__main__":
    main()
