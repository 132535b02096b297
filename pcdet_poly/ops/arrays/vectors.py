"""Vectors of numbers that a kernel keeps in the processor's registers, in LLVM's portable instructions.

numba makes vector instructions of a loop over numbers that lie side by side, but its sums go through memory at every
turn of a loop around it. A kernel that names its vectors keeps them in registers.

`lanes` is a tuple of as many numbers as a vector has: a tuple's length is known where a kernel is compiled. Arrays are
C-contiguous, and `index` counts their numbers from the first one on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.core import config as numba_config
from numba.extending import intrinsic, models, register_model

from pcdet_poly.ops.arrays.register_tiles import UNIT

Array = np.ndarray
Lanes = tuple[int, ...]

cgutils: Any = untyped_cgutils
config: Any = numba_config
ir: Any = cgutils.ir  # llvmlite's, which numba brings along
LANES: tuple[Lanes, ...] = tuple((0,) * number for number in (16, 8, 1) if number <= max(UNIT.lanes, 8))
_INT32 = ir.IntType(32)


@cache
def split_columns(width: int) -> tuple[Array, Lanes]:
    """Split the columns of an array into vectors, as wide ones as the processor has.

    Args:
        width: how many columns.

    Returns:
        The first column of each vector, (N,) int64, and the lanes of all. Where a width of more than 8 is no multiple
        of 8, the last vector begins inside the one before.
    """
    for lanes in LANES:
        number = len(lanes)
        if width % number == 0 or (number == 8 and width > 8):
            return np.minimum(np.arange(0, width, number), width - number), lanes
    raise AssertionError("the last lanes divide every width")


class _Vector(types.Type):
    """numba's type of a vector."""

    def __init__(self, element: Any, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        super().__init__(name=f"Vector({element}, {lanes})")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    """LLVM's type of a vector; its booleans are bits."""

    def __init__(self, manager: Any, vector: _Vector) -> None:
        is_mask = vector.element == types.boolean
        element = ir.IntType(1) if is_mask else manager.lookup(vector.element).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))  # type: ignore[no-untyped-call]


def _compiled_by(generate: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Let numba compile a function by what `generate` writes; the function itself runs where nothing is compiled."""

    def decorate(function: Callable[..., Any]) -> Any:
        if config.DISABLE_JIT:
            return function
        compiled: Any = intrinsic(generate)
        compiled.py_func = function
        return compiled

    return decorate


def _generate_spread(typing_context: Any, value: Any, lanes: Any) -> Any:
    if not isinstance(value, (types.Float, types.Integer)) or not isinstance(lanes, types.BaseTuple):
        return None
    vector = _Vector(types.int32 if isinstance(value, types.Integer) else value, len(lanes))

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _repeat(builder, context.cast(builder, given[0], value, vector.element), vector.lanes)

    return vector(value, lanes), generate


@_compiled_by(_generate_spread)
def spread(value: Any, lanes: Lanes) -> Any:
    """Make a vector that has one number in all lanes; an integer becomes int32."""
    return np.full(len(lanes), value, np.int32 if isinstance(value, (int, np.integer)) else None)


def _generate_load(typing_context: Any, array: Any, index: Any, lanes: Any) -> Any:
    if not _is_contiguous(array) or not isinstance(lanes, types.BaseTuple):
        return None
    vector = _Vector(array.dtype, len(lanes))

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = _point_to(context, builder, array, given[0], given[1])
        kind = context.get_value_type(vector).as_pointer()
        return builder.load(builder.bitcast(place, kind), align=array.dtype.bitwidth // 8)

    return vector(array, index, lanes), generate


@_compiled_by(_generate_load)
def load_vector(array: Array, index: int, lanes: Lanes) -> Any:
    """Load a vector from an array.

    Args:
        array: C-contiguous, of floats or int32.
        index: its number that becomes the first lane's.
        lanes: as many numbers as are loaded.

    Returns:
        The vector, of the array's type.
    """
    return array.reshape(-1)[index : index + len(lanes)].copy()


def _generate_store(typing_context: Any, array: Any, index: Any, vector: Any) -> Any:
    if not _is_contiguous(array) or not isinstance(vector, _Vector) or array.dtype != vector.element:
        return None

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = _point_to(context, builder, array, given[0], given[1])
        kind = given[2].type.as_pointer()
        builder.store(given[2], builder.bitcast(place, kind), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, index, vector), generate


@_compiled_by(_generate_store)
def store_vector(array: Array, index: int, vector: Any) -> None:
    """Write a vector into an array.

    Args:
        array: C-contiguous, of the vector's type; written.
        index: its number that the first lane's is written to.
        vector: what is written.
    """
    array.reshape(-1)[index : index + len(vector)] = vector


def _generate_add(typing_context: Any, left: Any, right: Any) -> Any:
    if not _are_floats(left, right):
        return None

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fadd(*given)

    return left(left, right), generate


@_compiled_by(_generate_add)
def add(left: Any, right: Any) -> Any:
    """Add two vectors."""
    return left + right


def _generate_multiply_add(typing_context: Any, total: Any, array: Any, index: Any, vector: Any) -> Any:
    if not _is_contiguous(array) or not _are_floats(total, vector) or array.dtype != total.element:
        return None

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        factor = builder.load(_point_to(context, builder, array, given[1], given[2]))
        product = builder.fmul(_repeat(builder, factor, total.lanes), given[3], flags=("contract",))
        return builder.fadd(given[0], product, flags=("contract",))

    return total(total, array, index, vector), generate


@_compiled_by(_generate_multiply_add)
def multiply_add(total: Any, array: Array, index: int, vector: Any) -> Any:
    """Add to a vector the product of another one with a number; rounded once where a processor can.

    Args:
        total: floats.
        array: C-contiguous, of the same type.
        index: of the number in it that is multiplied.
        vector: of the same type and lanes.

    Returns:
        total + array[index] * vector.
    """
    return total + array.reshape(-1)[index] * vector


def _generate_comparison(compare: Callable[[Any, Any, Any], Any], left: Any, right: Any) -> Any:
    if not isinstance(left, _Vector) or left != right:
        return None

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return compare(builder, *given)

    return _Vector(types.boolean, left.lanes)(left, right), generate


def _generate_is_lower(typing_context: Any, left: Any, right: Any) -> Any:
    return _generate_comparison(lambda builder, a, b: builder.fcmp_ordered("<", a, b), left, right)


@_compiled_by(_generate_is_lower)
def is_lower(left: Any, right: Any) -> Any:
    """Tell in which lanes a float is lower than the other vector's."""
    return left < right


def _generate_is_higher(typing_context: Any, left: Any, right: Any) -> Any:
    def compare(builder: Any, a: Any, b: Any) -> Any:
        return builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("uno", a, a))

    return _generate_comparison(compare, left, right)


@_compiled_by(_generate_is_higher)
def is_higher(left: Any, right: Any) -> Any:
    """Tell in which lanes a float is higher than the other vector's, or not a number, which a maximum passes on."""
    return (left > right) | (left != left)


def _generate_is_equal(typing_context: Any, left: Any, right: Any) -> Any:
    return _generate_comparison(lambda builder, a, b: builder.icmp_signed("==", a, b), left, right)


@_compiled_by(_generate_is_equal)
def is_equal(left: Any, right: Any) -> Any:
    """Tell in which lanes two vectors of integers are equal."""
    return left == right


def _generate_choose(typing_context: Any, mask: Any, first: Any, second: Any) -> Any:
    if not isinstance(mask, _Vector) or mask.element != types.boolean or first != second:
        return None

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.select(*given)

    return first(mask, first, second), generate


@_compiled_by(_generate_choose)
def choose(mask: Any, first: Any, second: Any) -> Any:
    """Choose between two vectors, lane by lane.

    Args:
        mask: what a comparison has told.
        first: whose numbers are taken where it holds.
        second: whose are taken elsewhere; of the same type and lanes.

    Returns:
        A vector of that type.
    """
    return np.where(mask, first, second)


def _is_contiguous(array: Any) -> bool:
    """Tell whether this is numba's type of an array whose numbers lie side by side."""
    return isinstance(array, types.Array) and array.layout == "C"


def _are_floats(left: Any, right: Any) -> bool:
    return isinstance(left, _Vector) and isinstance(left.element, types.Float) and left == right


def _point_to(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _repeat(builder: Any, value: Any, lanes: int) -> Any:
    """Put a number into all lanes."""
    nothing = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    mask = ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes)
    return builder.shuffle_vector(builder.insert_element(nothing, value, ir.Constant(_INT32, 0)), nothing, mask)
