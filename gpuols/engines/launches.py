"""Launches: which kernels answer a batch of one shape, with what grid, block and shared memory.

What order sums are formed in depends on (n, k, m) alone: `share`, the chunks and the panels. How
many regressions a block takes at a time does not reach the numbers.
"""

from dataclasses import dataclass

import numpy as np

from gpuols.engines.dealing import lanes_of
from gpuols.engines.kernels import Kernel
from gpuols.records import filled

CHUNK = 4096  # rows, as in kernels/moments.cuh
PANEL = 64  # columns, as in kernels/panel.cu
_FEW = 4  # columns, PANEL of kernels/dealing.cuh
WIDEST_GRAM = 32  # columns of which a warp can hold all products
ALONE = 256  # rows of a regression that one warp sums alone
_WARP, _WARPS = 32, 8
_ROUNDS = 16  # of blocks for each multiprocessor, at least, where there are regressions enough
_WIDEST_WARP = 31  # columns that a warp solves; above, a block does
_WIDEST_BLOCK = 128  # columns that a block factors; above, cuSOLVER does
_GRID = _MOST = 2**31 - 1

# Threads of a block.
FIT, GRAM, PANEL_BLOCK, SOLVE, MASK, DEAL, RESPONSES = 256, 256, 128, 128, 256, 128, 128
EACH = 64  # responses of a block


@filled
@dataclass(frozen=True)
class Shape:
    """One kind of batch.

    Attributes
    ----------
    n, k, m : int
        Rows, columns and responses of each regression.
    real : str
        Type of the rows: "float" or "double".
    centered, weighted, drop : bool
        Whether there is an intercept; weights, or rows left out; missing values to leave out.
    """

    n: int
    k: int
    m: int
    real: str
    centered: bool
    weighted: bool
    drop: bool

    @property
    def dtype(self) -> np.dtype:
        """Of the rows."""
        return np.dtype(np.float32 if self.real == "float" else np.float64)

    @property
    def columns(self) -> int:
        """Columns of X and y."""
        return self.k + self.m

    @property
    def p(self) -> int:
        """Coefficients."""
        return self.k + self.centered

    @property
    def chunks(self) -> int:
        """Chunks of rows of each regression."""
        return max(1, -(-self.n // CHUNK))

    @property
    def fused(self) -> bool:
        """Whether one launch does it all."""
        return self.n <= CHUNK and self.columns <= WIDEST_GRAM

    @property
    def by_library(self) -> bool:
        """Whether cuSOLVER factors."""
        return self.k > _WIDEST_BLOCK

    @property
    def sums(self) -> int:
        """Numbers that are kept of a regression's rows, as in kernels/moments.cuh."""
        k, m = self.k, self.m
        return 3 + 3 * self.columns + k * (k + 1) // 2 + m * (k + 1)

    @property
    def moments(self) -> int:
        """Numbers of a regression's moments that are written."""
        k, m = self.k, self.m
        return 3 + 3 * self.columns + k * k + k * m + m

    @property
    def answers(self) -> int:
        """Numbers of a regression's answers, but the statuses."""
        return self.p * (self.m + 1) + 2 * self.m + 2

    @property
    def room(self) -> int:
        """Numbers that solving works with."""
        return self.k * (self.k + 1) // 2 + 6 * self.k

    @property
    def share(self) -> int:
        """Warps that sum the rows of one regression."""
        return next((warps for warps in (1, 2, 4) if self.n <= ALONE * warps), _WARPS)

    @property
    def precise_sums(self) -> int:
        """The same in double-double, as in kernels/dealing.cuh."""
        return 2 * self.sums + 2

    @property
    def pairs(self) -> int:
        """Pairs of panels of columns; those of responses alone have no products with each other."""
        return _pairs(self.k, self.columns, PANEL)

    @property
    def countable(self) -> bool:
        """Whether the kernels can number what they keep of a regression."""
        return max(self.precise_sums, self.moments, self.pairs) <= _MOST

    @property
    def panel_tiles(self) -> int:
        """Columns over 8 of a panel of a design that responses share."""
        return 1 if self.k <= 8 else 2 if self.k <= 16 else 4

    @property
    def panels(self) -> int:
        """Panels of such a design."""
        return max(1, -(-self.k // (8 * self.panel_tiles)))

    @property
    def tiles(self) -> int:
        """Columns over 8."""
        return max(1, -(-self.columns // 8))


@dataclass(frozen=True)
class Launch:
    """One kernel, and how it is launched.

    Attributes
    ----------
    kernel : Kernel
        Which.
    block : int
        Threads of a block.
    shared_bytes : int
        Dynamic shared memory of a block.
    round : int
        Regressions that a block takes at a time.
    """

    kernel: Kernel
    block: int
    shared_bytes: int = 0
    round: int = 1

    def grid(self, count: int) -> int:
        """Blocks for a number of tasks."""
        return min(max(1, -(-count // self.round)), _GRID)


def fit_batch(shape: Shape, count: int, multiprocessors: int, shared_bytes: int) -> Launch:
    """Rows to answers at once, on a device of so many multiprocessors and so much shared memory."""
    team = {1: 8, 2: 16}.get(shape.tiles, 32)
    largest, least = FIT // team, max(1, _WARPS // shape.share)
    round = largest
    while round > least and -(-count // round) < _ROUNDS * multiprocessors:
        round //= 2
    while round > 1 and _shared(shape, round) > shared_bytes:
        round //= 2
    macros = ("tiles", shape.tiles), *_rows(shape)
    return Launch(Kernel("fit_batch", macros), FIT, _shared(shape, round), round)


def sums(shape: Shape) -> tuple[Launch, int]:
    """Rows to the sums of chunks, and the tasks that each chunk gives."""
    if shape.columns <= WIDEST_GRAM:
        kernel = Kernel("gram", (("tiles", shape.tiles), *_rows(shape)))
        return Launch(kernel, GRAM), 1
    kernel = Kernel("panel", (("panels", 1 if shape.columns <= PANEL else 2), *_rows(shape)))
    return Launch(kernel, PANEL_BLOCK), shape.pairs


def fold(precise: bool) -> Launch:
    """Sums of chunks to those of runs of them, in double-double or not."""
    return Launch(Kernel("fold", (("precise", int(precise)),)), DEAL)


def solve(shape: Shape, shared_bytes: int) -> tuple[Launch, bool]:
    """Sums of chunks to answers, and whether what it works with is too large for shared memory."""
    team = 8 if shape.k < 8 else 16 if shape.k < 16 else 32 if shape.k <= _WIDEST_WARP else SOLVE
    kernel = Kernel("solve", (("team", team),))
    needed = _bytes(SOLVE // team * shape.room)
    spills = needed + 1024 > shared_bytes
    return Launch(kernel, SOLVE, 0 if spills else needed, SOLVE // team), spills


def responses(shape: Shape) -> tuple[Launch, bool]:
    """Rows of responses that share a design to sums, and whether to answers at once."""
    kernel = Kernel("responses", (("real", shape.real), ("tiles", shape.panel_tiles)))
    return Launch(kernel, RESPONSES), shape.chunks == shape.panels == 1


def solve_responses(shape: Shape) -> Launch:
    """Sums of chunks to answers to those responses."""
    macros = ("tiles", shape.panel_tiles), ("panels", min(2, shape.panels))
    return Launch(Kernel("solve_responses", macros), RESPONSES)


def prepare() -> Launch:
    """Sums of chunks to the matrices that cuSOLVER factors."""
    return Launch(Kernel("prepare"), SOLVE)


def mask(shape: Shape) -> Launch:
    """Which rows count."""
    macros = ("real", shape.real), ("drop", int(shape.drop))
    return Launch(Kernel("mask", macros), MASK, round=MASK // 32)


def places() -> Launch:
    """Rows for the anchors."""
    return Launch(Kernel("places"), MASK, round=MASK // 32)


def anchors(shape: Shape) -> Launch:
    """Rows to the points about which they are first summed in double-double."""
    return Launch(Kernel("anchors", (("real", shape.real),)), MASK, round=MASK)


def precise_sums(shape: Shape, *, anchored: bool = False) -> list[tuple[Launch, int]]:
    """Rows to the sums of chunks in double-double, and the tasks that each chunk gives."""
    teams = DEAL // min(lanes_of(shape.n), _WARP)
    tasks = -(-shape.columns // _FEW), _pairs(shape.k, shape.columns, _FEW)
    macros = _rows(shape)
    kernels = Kernel("margins", macros), Kernel("products", (*macros, ("anchored", int(anchored))))
    return [
        (Launch(kernel, DEAL, round=teams), number)
        for kernel, number in zip(kernels, tasks, strict=True)
    ]


def residuals(shape: Shape) -> Launch:
    """Rows to the residuals of given fits."""
    return Launch(Kernel("residuals", _rows(shape)), DEAL)


def settle() -> Launch:
    """Sums of chunks in double-double to moments."""
    return Launch(Kernel("settle"), DEAL)


def solve_precise(shape: Shape) -> Launch:
    """Moments in double-double to answers."""
    team = _team(shape)
    numbers = shape.k * (shape.k + 1) + 12 * shape.k + 2
    teams = SOLVE // team
    return Launch(Kernel("solve_precise", (("team", team),)), SOLVE, _bytes(teams * numbers), teams)


def shortest(shape: Shape) -> tuple[Launch, int]:
    """The same to the shortest answers, and how many doubles a team works with."""
    team, k = _team(shape), shape.k
    numbers = 2 * k * (k + 1) + 4 * k * k + 18 * k + 2
    return Launch(Kernel("shortest", (("team", team),)), SOLVE, round=SOLVE // team), numbers


def _team(shape: Shape) -> int:
    """Threads that solve a regression in double-double."""
    return 8 if shape.k <= 8 else 32 if shape.k <= _WIDEST_WARP else SOLVE


def _pairs(k: int, columns: int, panel: int) -> int:
    """Pairs of panels, those of responses alone paired with those of X and with themselves."""
    own, panels = -(-k // panel), -(-columns // panel)
    return own * (own + 1) // 2 + (panels - own) * (own + 1)


def _shared(shape: Shape, round: int) -> int:
    """Shared memory that `fit_batch` takes for some regressions."""
    return _bytes(round * shape.sums) + _bytes(round * shape.room)


def _rows(shape: Shape) -> tuple[tuple[str, int | str], ...]:
    return ("real", shape.real), ("weighted", int(shape.weighted))


def _bytes(doubles: int) -> int:
    """Bytes of shared memory that a piece takes, on a boundary of 16."""
    return (8 * doubles + 15) // 16 * 16
