"""Points whose coordinates lie side by side -> a row of x, one of y and one of z, over numpy arrays.

Vector instructions compute with rows. Compilers bring coordinates into rows one number at a time, or with gathers,
which are as slow; whole points read as vectors and shuffled take two fifths of the time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.core import config as numba_config
from numba.extending import intrinsic

from pcdet_poly.ops.compiler.kernel import kernel

Array = np.ndarray
POINTS = 8  # read together
READ = 4  # numbers read of each: x, y, z and the one after it
WORD = 4  # bytes of a float32

cgutils: Any = untyped_cgutils
config: Any = numba_config
ir: Any = cgutils.ir  # llvmlite's, which numba brings along
HAS_VECTORS = not config.DISABLE_JIT  # intrinsics exist in compiled code only


@kernel
def split_coordinates(points: Array, x: Array, y: Array, z: Array) -> None:
    """Copy the coordinates of points into three rows.

    Args:
        points: (P, 3+) float32; it takes longer where the numbers of a point do not lie side by side.
        x: (P or more,) float32, written, and so are `y` and `z`.
        y: as `x`.
        z: as `x`.
    """
    # The number after the last point's z may not be there, so that point is not read as a vector; nor is any where the
    # next one does not lie behind it.
    lies_in_order = HAS_VECTORS and points.strides[0] >= WORD and points.strides[1] == WORD
    whole = max((len(points) - 1) // POINTS * POINTS, 0) if lies_in_order else 0
    for first in range(0, whole, POINTS):
        _split_eight(points, first, x, y, z)
    for p in range(whole, len(points)):
        x[p], y[p], z[p] = points[p, 0], points[p, 1], points[p, 2]


def _generate_split(typing_context: Any, points: Any, first: Any, x: Any, y: Any, z: Any) -> Any:
    """Generate code that copies the coordinates of the POINTS points from `first` on into rows, at the same place."""
    arguments = (points, first, x, y, z)
    if any(array.dtype != types.float32 for array in (points, x, y, z)):
        return None  # other numbers would be read as these

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        table = context.make_array(points)(context, builder, given[0])
        point_bytes = cgutils.unpack_tuple(builder, table.strides)[0]
        vectors = []
        for number in range(POINTS):
            place = builder.add(given[1], ir.Constant(given[1].type, number))
            vectors.append(_load_point(builder, table.data, builder.mul(place, point_bytes)))
        while len(vectors) > 1:  # two and two are put one behind the other, until one vector holds all
            size = 2 * vectors[0].type.count
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [_pick(builder, left, right, range(size)) for left, right in pairs]
        for column, row in enumerate(given[2:]):
            picked = _pick(builder, vectors[0], vectors[0], range(column, POINTS * READ, READ))
            data = context.make_array(arguments[2 + column])(context, builder, row).data
            start = builder.bitcast(builder.gep(data, [given[1]]), picked.type.as_pointer())
            builder.store(picked, start, align=WORD)
        return context.get_dummy_value()

    return types.void(*arguments), generate


_split_eight: Any = intrinsic(_generate_split)


def _load_point(builder: Any, data: Any, offset: Any) -> Any:
    """Load READ numbers that begin `offset` bytes behind an address."""
    begin = builder.bitcast(data, ir.IntType(8).as_pointer())
    vector = ir.VectorType(ir.FloatType(), READ)
    return builder.load(builder.bitcast(builder.gep(begin, [offset]), vector.as_pointer()), align=WORD)


def _pick(builder: Any, left: Any, right: Any, places: range) -> Any:
    """Make a vector of the numbers of two, counted through."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
    return builder.shuffle_vector(left, right, mask)
