"""A picture of a run: everyone beside the fastest, case by case, and how gpuols' time grows."""

from pathlib import Path
from typing import Any

from benchmarks.turns import OURS
from gpuols.files import written

_INCHES, _DPI = (12.0, 8.0), 110
_OURS, _OTHERS, _GUIDE = "#d55e00", "#0072b2", "#999999"
_LEGEND = (
    "seconds; diamond: gpuols, in its colour: its other solvers; hollow: scaled from a part;"
    " bar: floor; the fastest is named"
)
_AXES = {
    "regressions": ("count", "regressions of {n} rows and {p} coefficients"),
    "coefficients": ("p", "coefficients of {count} regressions of {n} rows"),
}


def draw(path: Path, figures: dict[str, Any]) -> None:
    """Draw the figures of a results file as a PNG file, which is there whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
    _draw_cases(left.subplots(), figures["cases"])
    panels = right.subplots(2, 1)
    for axes, (name, series) in zip(panels, figures["scaling"].items(), strict=True):
        _draw_growth(axes, name, series)
    figure.suptitle(f"{figures['processor']}, {figures['threads']} threads, medians")
    with written(path) as file:
        figure.savefig(file, format="png")


def _draw_cases(axes: Any, cases: list[dict[str, Any]]) -> None:
    """A line of points for each case: seconds of everyone with right answers."""
    for place, case in enumerate(cases):
        timed = [row for row in case["rows"] if row.get("right") and "seconds" in row]
        for row in timed:
            own = row["ours"]
            look = {"color": _OURS, "zorder": 3} if own else {"color": _OTHERS}
            hollow = {"markerfacecolor": "none"} if row["scaled"] else {}
            axes.plot(row["seconds"], place, "D" if row["who"] == OURS else "o", **look, **hollow)
        fastest = min(timed, key=lambda row: row["seconds"], default=None)
        if fastest is not None:
            where = (fastest["seconds"], place)
            shift = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
            axes.annotate(fastest["who"], where, size=7, **shift)
        if timed and timed[0]["floor_s"]:
            axes.plot(timed[0]["floor_s"], place, "|", color=_GUIDE, markersize=18)
    axes.set_yticks(range(len(cases)), [case["case"] for case in cases], size=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(_LEGEND, size=8)


def _draw_growth(axes: Any, name: str, series: list[dict[str, Any]]) -> None:
    """Seconds by size, the floor, and a line through the last point that the operations draw."""
    key, text = _AXES[name]
    sizes, last = [one[key] for one in series], series[-1]
    axes.plot(sizes, [one["seconds"] for one in series], "D-", color=_OURS, label=OURS)
    if all(one["floor_s"] for one in series):
        axes.plot(sizes, [one["floor_s"] for one in series], "-", color=_GUIDE, label="floor")
    guide = [last["seconds"] * one["flops"] / last["flops"] for one in series]
    axes.plot(sizes, guide, ":", color=_GUIDE, label="in proportion to operations")
    axes.set(xscale="log", yscale="log", ylabel="seconds")
    axes.set_xlabel(text.format(**last), size=8)
    axes.legend(fontsize=8)
