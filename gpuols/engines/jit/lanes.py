"""Lanes: eight doubles, one of each of eight regressions or rows, in functions that Numba compiles.

Code on lanes reads like code on numbers, and LLVM makes the machine's vector instructions of it:
one of 512 bits, two of 256, four of 128. Every operation rounds each lane as IEEE 754 says, none is
fused but `fma`, so that the bits are the same on every machine and no lane hurts another.
"""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

WIDTH = 8

Lanes: TypeAlias = Any
Mask: TypeAlias = Any
"""What functions of lanes take and give, to a reader: Numba finds the types itself."""

DOUBLE, INT, BIT, INDEX = ir.DoubleType(), ir.IntType(64), ir.IntType(1), ir.IntType(32)
VECTOR, BITS, WORDS, PICKS = (ir.VectorType(part, WIDTH) for part in (DOUBLE, BIT, INT, INDEX))


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


class _Mask(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Mask")


LANES, MASK = _Lanes(), _Mask()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


@register_model(_Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, BITS)


def constant(value: float) -> ir.Constant:
    """The same number in all lanes."""
    return ir.Constant(VECTOR, [float(value)] * WIDTH)


def spread(builder: Any, value: Any) -> Any:
    """A number that is known at run time in all lanes."""
    nothing = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, value, INDEX(0))
    return builder.shuffle_vector(
        first, nothing, ir.Constant(ir.VectorType(INDEX, WIDTH), [0] * WIDTH)
    )


def declared(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """An LLVM intrinsic."""
    kind = ir.FunctionType(result, arguments)
    return cgutils.get_or_insert_function(builder.module, kind, name)


def halves(step: int) -> tuple[list[int], list[int]]:
    """Which lanes of two vectors change places so that their blocks of so many lanes do.

    Of one vector after the other: those of the first result, and of the second.
    """
    even = [i if not i & step else i - step + WIDTH for i in range(WIDTH)]
    odd = [i + step if not i & step else i + WIDTH for i in range(WIDTH)]
    return even, odd


def transposed(builder: Any, vectors: list[Any]) -> list[Any]:
    """Eight vectors whose lanes are those of one lane of eight."""
    turned = list(vectors)
    for step in (1, 2, 4):
        for a in (a for a in range(WIDTH) if not a & step):
            pair = turned[a], turned[a + step]
            for lane, half in zip((a, a + step), halves(step), strict=True):
                turned[lane] = builder.shuffle_vector(*pair, PICKS(half))
    return turned


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Lane by lane a b + c, rounded once."""
    name = f"llvm.fma.v{WIDTH}f64"
    return builder.call(declared(builder, name, VECTOR, VECTOR, VECTOR, VECTOR), [a, b, c])


def _operator(
    symbol: Any, result: Any, kind: Any, emit: Callable[..., Any], count: int = 2
) -> None:
    """Teach Numba an operator on lanes or masks; a number beside lanes counts in all of them."""

    class Template(AbstractTemplate):
        key = symbol

        def generic(self, given: Any, _: Any) -> Any:
            mixed = kind is LANES and all(isinstance(a, types.Float) or a is LANES for a in given)
            if len(given) == count and kind in given and (mixed or set(given) == {kind}):
                return signature(result, *given)
            return None

    infer_global(symbol)(Template)

    def lower(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        whole = [
            a if t is kind else spread(builder, context.cast(builder, a, t, types.float64))
            for a, t in zip(arguments, sig.args, strict=True)
        ]
        return emit(builder, *whole)

    alone = (kind,) * count
    lower_builtin(symbol, *alone)(lower)
    if kind is LANES and count == 2:
        lower_builtin(symbol, kind, types.Float)(lower)
        lower_builtin(symbol, types.Float, kind)(lower)


def _method(name: str, builder: Any, *arguments: Any) -> Any:
    return getattr(builder, name)(*arguments)


def _compared(sign: str, builder: Any, a: Any, b: Any) -> Any:
    return builder.fcmp_ordered(sign, a, b)


for _symbol, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_symbol, LANES, LANES, partial(_method, _name))
for _symbol, _name in (
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.eq, "=="),
):
    _operator(_symbol, MASK, LANES, partial(_compared, _name))
_operator(operator.and_, MASK, MASK, partial(_method, "and_"))
_operator(operator.or_, MASK, MASK, partial(_method, "or_"))
_operator(operator.invert, MASK, MASK, partial(_method, "not_"), 1)
_operator(operator.neg, LANES, LANES, partial(_method, "fneg"), 1)


@intrinsic
def every(_: Any, number: Any) -> Any:
    """A number in all lanes."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return spread(builder, arguments[0])

    return LANES(types.float64), generate


@intrinsic
def fma(_: Any, a: Any, b: Any, c: Any) -> Any:
    """Lane by lane a b + c, rounded once."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return fused(builder, *arguments)

    return LANES(LANES, LANES, LANES), generate


@intrinsic
def root(_: Any, a: Any) -> Any:
    """Square roots, NaN of negative numbers."""
    return LANES(LANES), partial(_call, "sqrt")


@intrinsic
def size(_: Any, a: Any) -> Any:
    """Absolute values."""
    return LANES(LANES), partial(_call, "fabs")


def _call(name: str, context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    own = declared(builder, f"llvm.{name}.v{WIDTH}f64", VECTOR, VECTOR)
    return builder.call(own, arguments)


@intrinsic
def choose(_: Any, where: Any, a: Any, b: Any) -> Any:
    """Lane by lane a where a mask holds, else b."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return LANES(MASK, LANES, LANES), generate


@intrinsic
def near_root(_: Any, a: Any) -> Any:
    """Powers of two near one over the roots of numbers; one where they are not above zero."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        def whole(value: int) -> Any:
            return ir.Constant(WORDS, [value] * WIDTH)

        bits = builder.bitcast(arguments[0], WORDS)
        exponent = builder.sub(builder.lshr(bits, whole(52)), whole(1022))
        turned = builder.sub(whole(1023), builder.ashr(exponent, whole(1)))
        found = builder.bitcast(builder.shl(turned, whole(52)), VECTOR)
        positive = builder.fcmp_ordered(">", arguments[0], constant(0.0))
        return builder.select(positive, found, constant(1.0))

    return LANES(LANES), generate


@intrinsic
def log_up(_: Any, a: Any) -> Any:
    """Binary logarithms of numbers from one up, rounded up."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        def whole(value: int) -> Any:
            return ir.Constant(WORDS, [value] * WIDTH)

        above = builder.add(builder.bitcast(arguments[0], WORDS), whole(2**52 - 1))
        return builder.sitofp(builder.sub(builder.lshr(above, whole(52)), whole(1023)), VECTOR)

    return LANES(LANES), generate


@intrinsic
def tally(_: Any, where: Any, number: Any) -> Any:
    """How many of so many first lanes a mask holds for."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        whole = builder.zext(builder.bitcast(arguments[0], ir.IntType(WIDTH)), INT)
        first = builder.sub(builder.shl(INT(1), arguments[1]), INT(1))
        return builder.ctpop(builder.and_(whole, first))

    return types.int64(MASK, types.int64), generate


@intrinsic
def mantissa(_: Any, a: Any) -> Any:
    """Of normal numbers above zero, in [1, 2)."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], WORDS)
        low = builder.and_(bits, ir.Constant(WORDS, [2**52 - 1] * WIDTH))
        one = ir.Constant(WORDS, [1023 << 52] * WIDTH)
        return builder.bitcast(builder.or_(low, one), VECTOR)

    return LANES(LANES), generate


@intrinsic
def exponent(_: Any, a: Any) -> Any:
    """Of normal numbers above zero, as numbers: a is 2 to it times the mantissa."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], WORDS)
        raised = builder.lshr(bits, ir.Constant(WORDS, [52] * WIDTH))
        whole = builder.sub(raised, ir.Constant(WORDS, [1023] * WIDTH))
        return builder.sitofp(whole, VECTOR)

    return LANES(LANES), generate


@intrinsic
def holds(_: Any, where: Any) -> Any:
    """Whether a mask holds in some lane."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.IntType(WIDTH)(0))

    return types.boolean(MASK), generate
