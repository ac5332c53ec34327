"""A picture of some coefficients of many regressions, with their confidence intervals.

Two panels a coefficient: above, the regressions that are OK, sorted by it; below, the others. Of
matplotlib (extra `demo`) only the canvas that draws into memory is imported, and only to draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.errors import Status
from gpuols.files import written

_OK, _OTHER = ("#0072b2", "."), ("#d55e00", "x")
_CENTRAL = 0.98  # share of the OK coefficients that sets the axis: the rest would stretch it a lot
_MARGIN = 0.35  # of what those span, on either side, for their intervals
_INCHES, _DPI, _COLOURS = (11.0, 8.0), 120, 256
_CUT = (
    "Estimates with 95% confidence intervals, cut off where the axis ends; diamonds lie beyond it"
)


class PictureError(Exception):
    """The picture can't be drawn or written; the message says why, in one line."""


@dataclass(frozen=True, eq=False)
class Slope:
    """One coefficient of N regressions.

    Attributes
    ----------
    name, unit : str
        What stands above its panels, and below their axis.
    reference : float
        Where a dashed line is drawn.
    meaning : str
        What it is to lie there.
    value : (N,)
        The coefficient; NaN where there is none, which is never so of one that is OK.
    interval : (N, 2)
        Its confidence interval; NaN where there is none.
    """

    name: str
    unit: str
    reference: float
    meaning: str
    value: NDArray[np.float64]
    interval: NDArray[np.float64]


def draw(
    path: str | PathLike[str], title: str, noun: str, slopes: Sequence[Slope], status: NDArray[Any]
) -> None:
    """Draw coefficients as a PNG file, which is there whole or not at all.

    Parameters
    ----------
    path : path
        The file.
    title : str
        What stands above all.
    noun : str
        What there is one regression for each of.
    slopes : sequence of Slope
        The coefficients, one or more.
    status : (N,)
        Codes of `Status`.

    Raises
    ------
    PictureError
        If matplotlib can't be imported, or the file can't be written.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D
        from PIL import Image
    except ImportError as error:
        reason = str(error).partition("\n")[0]
        raise PictureError(f'no matplotlib ({reason}): pip install "gpuols[demo]"') from error
    ok = status == Status.OK
    legend = (*_OK, f"OK: {ok.sum():,} {noun}"), (*_OTHER, _others(status, noun))
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not what the reader's own settings make of it
        figure = Figure(_INCHES, _DPI, layout="constrained")
        canvas: Any = FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=13)
        grid = figure.add_gridspec(2, len(slopes), height_ratios=(4, 1))
        panels = grid.subplots(sharex="col", sharey="row", squeeze=False)
        for (above, below), slope in zip(panels.T, slopes, strict=True):
            above.set_title(f"{slope.name}\n", fontsize=13, fontweight="bold")
            _fill(above, slope, ok, _ends(slope.value[ok]), *_OK)
            _fill(below, slope, ~ok, above.get_xlim(), *_OTHER)
            below.set_xlabel(f"{slope.unit}\ndashed: {slope.meaning}")
        panels[0, 0].set_ylabel(f"{noun} that are OK, sorted")
        panels[1, 0].set_ylabel("not OK, sorted")
        handles = [Line2D([], [], color=c, marker=m, label=words) for c, m, words in legend]
        figure.legend(handles=handles, loc="outside lower center", ncols=2, title=_CUT)
        canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(_COLOURS)
    try:
        with written(path) as file:
            pixels.save(file, "PNG", optimize=True)
    except OSError as error:
        raise PictureError(f"can't write {str(path)!r}: {error.strerror or error}") from error


def _ends(value: NDArray[np.float64]) -> tuple[float, float]:
    both = (1 - _CENTRAL) / 2, (1 + _CENTRAL) / 2
    low, high = np.quantile(value, both).tolist() if value.size else (0.0, 0.0)
    margin = _MARGIN * (high - low) or 1.0
    return low - margin, high + margin


def _fill(
    axes: Any, slope: Slope, mine: NDArray[np.bool_], ends: tuple[float, float], *style: str
) -> None:
    (colour, marker), where = style, np.flatnonzero(mine & np.isfinite(slope.value))
    where = where[np.argsort(slope.value[where], kind="stable")]
    value, rank = slope.value[where], np.arange(1, len(where) + 1)
    beyond = (value < ends[0]) | (value > ends[1])
    axes.hlines(rank, *slope.interval[where].T, colors=colour, linewidth=0.3, alpha=0.3)
    axes.plot(value[~beyond], rank[~beyond], marker, color=colour, markersize=2)
    out = {"color": colour, "markersize": 2, "clip_on": False, "in_layout": False}
    axes.plot(np.clip(value[beyond], *ends), rank[beyond], "D", **out)
    axes.axvline(slope.reference, color="black", linestyle="--", linewidth=0.8)
    axes.set(xlim=ends, ylim=(0, max(1.05 * len(where), axes.get_ylim()[1], 1.0)))
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    note = f"{beyond.sum():,} beyond the axis"
    if len(where) < mine.sum():
        note = f"{len(where):,} of {mine.sum():,} have it, {note}"
    elif len(where):
        note = f"median {np.median(value):.3g}, {note}"
    axes.set_title(note, loc="left", fontsize=9.5)


def _others(status: NDArray[Any], noun: str) -> str:
    codes, counts = np.unique(status[status != Status.OK], return_counts=True)
    parts = [f"{n:,} {Status(code).name}" for code, n in zip(codes, counts, strict=True)]
    return f"not OK: {counts.sum():,} {noun}" + (f" ({', '.join(parts)})" if parts else "")
