"""gpuols and its rivals side by side: ``python -m benchmarks.compare``.

Everyone's answers are checked before they are timed; then all take turns, round by round, so that
what else the machine does falls on all of them. Medians are compared, with one another and with
what the machine can do at best, measured in the same run. `benchmarks.cpu` has the cases on a CPU,
`benchmarks.cuda` those on a device.
"""

import argparse
import sys
from importlib.util import find_spec

from benchmarks import choice, record
from benchmarks.cpu import run as cpu
from benchmarks.cuda import run as cuda

_DEVICES = ("cpu", "cpu:numpy", "cpu:numba", "cuda")
_INTERRUPTED = 130
"""As shells have it."""


def main() -> None:
    """Measure what is asked for, print it, write it to files where asked to."""
    options = parser()
    arguments = options.parse_args()
    kind = cuda if arguments.device == "cuda" else cpu
    if arguments.plot and kind is cuda:
        options.error("--plot: the picture is of the cases on a CPU")
    if arguments.plot and find_spec("matplotlib") is None:
        options.error("--plot: matplotlib draws the picture: pip install matplotlib")
    try:
        cases = choice.cases(arguments.cases, kind.every(arguments.quick))
        peers = choice.peers(arguments.peers, kind.PEERS)
    except ValueError as error:
        options.error(str(error))
    if arguments.plot and arguments.out and arguments.plot.resolve() == arguments.out.resolve():
        options.error("--plot: the same file as --out: name two")
    part = arguments.out and record.beside(arguments.out)
    if part:
        part.unlink(missing_ok=True)
    try:
        sys.exit(kind.main(arguments, cases, peers))
    except KeyboardInterrupt:
        kept = f": {part} has the cases so far" if part and part.exists() else ""
        print(f"\ninterrupted{kept}", file=sys.stderr)
        sys.exit(_INTERRUPTED)


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    found.add_argument("--device", default="cpu", choices=_DEVICES, help="what runs gpuols")
    found.add_argument("--cases", metavar="W1,...", help="cases by their letters; without, all")
    found.add_argument(
        "--peers", metavar="NAME,...", help="rivals whose names contain these; without, all"
    )
    found.add_argument("--rounds", type=choice.rounds, help="times each is run, at most")
    found.add_argument("--quick", action="store_true", help="small cases, to see them run")
    found.add_argument("--commit", help="what is measured, where git can't say")
    found.add_argument("--out", type=choice.new_file, help="file to write the figures to, as JSON")
    found.add_argument(
        "--plot", type=choice.new_file, help="PNG file to draw them to; measures growth, too"
    )
    return found


if __name__ == "__main__":
    main()
