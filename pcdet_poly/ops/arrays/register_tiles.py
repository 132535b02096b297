"""Products of six rows with a matrix whose sums stay in the processor's vector registers.

Linear algebra libraries take rows that lie side by side. Here each row of the values, and each row of the result, has
an address of its own, so that nothing is gathered before a product or added row by row after it.
"""

from __future__ import annotations

import platform
from typing import Any, NamedTuple

from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.core import codegen
from numba.core import config as numba_config
from numba.extending import intrinsic

ROWS = 6  # times four vectors of sums, four of the matrix and one value: 29 registers of AVX-512's 32
WORD = 4  # bytes: a float32, or two bfloat16

cgutils: Any = untyped_cgutils
config: Any = numba_config
ir: Any = cgutils.ir  # llvmlite's, which numba brings along


class VectorUnit(NamedTuple):
    """What a processor's vector instructions offer."""

    lanes: int  # float32 in a register
    most_vectors: int  # registers of one row's sums, such that ROWS rows fit; 0: no products here
    has_bfloat16: bool  # products of bfloat16 are fast, and libraries know no faster ones


def find_vector_unit() -> VectorUnit:
    """Find what this machine's processor offers, as far as these products use it and numba is left to use it."""
    nothing, features = VectorUnit(4, 0, has_bfloat16=False), _list_features()
    is_told_otherwise = config.DISABLE_JIT or config.CPU_NAME or config.CPU_FEATURES or not config.ENABLE_AVX
    if is_told_otherwise or platform.machine().lower() not in ("x86_64", "amd64"):
        return nothing
    if "+avx512f" in features:
        # With matrix units (AMX) libraries multiply bfloat16 several times as fast.
        return VectorUnit(16, 4, has_bfloat16="+avx512bf16" in features and "+amx-bf16" not in features)
    return VectorUnit(8, 2, has_bfloat16=False) if "+avx2" in features and "+fma" in features else nothing


def _list_features() -> list[str]:
    describe: Any = codegen.get_host_cpu_features
    return describe().split(",")


UNIT = find_vector_unit()
_INT64, _FLOAT = ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, UNIT.lanes)


class _BFloatType(ir.Type):  # type: ignore[misc]
    """bfloat16, for which llvmlite has no name."""

    def __str__(self) -> str:
        return "bfloat"


_BFLOAT = _BFloatType()


def _generate_products(
    typing_context: Any,
    values: Any,
    value_rows: Any,
    total_rows: Any,
    first: Any,
    shift: Any,
    matrix: Any,
    depth: Any,
    step: Any,
    num_vectors: Any,
) -> Any:
    """Generate code that adds the products of ROWS rows of values with a matrix to as many rows of a total.

    Args:
        typing_context: numba's.
        values: any array of the values' type: float32, or integers for the bits of bfloat16.
        value_rows: (N,) int64 addresses of the rows' first words.
        total_rows: (N,) int64 addresses of the rows of the total, float32.
        first: where in both the ROWS rows begin.
        shift: bytes to add to the addresses in `total_rows`.
        matrix: (depth or more, width) words, C-contiguous; a word of bfloat16 is what both of a value's word meet.
        depth: words of a row of values.
        step: bytes from one word of a row of values to the next.
        num_vectors: registers of one row's sums, 1 to 4, as a literal; a row is that many times `lanes` wide.
    """
    if not isinstance(num_vectors, types.IntegerLiteral):
        return None
    arguments = (values, value_rows, total_rows, first, shift, matrix, depth, step, num_vectors)
    is_half, width = values.dtype != types.float32, num_vectors.literal_value

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        tables = [_find_data(context, builder, arguments[k], given[k]) for k in (1, 2, 5)]
        first, shift, depth, step = given[3], given[4], given[6], given[7]
        values = [_load_address(builder, tables[0], first, row) for row in range(ROWS)]
        totals = [builder.add(_load_address(builder, tables[1], first, row), shift) for row in range(ROWS)]
        sums = _make_sums(builder, width)
        with cgutils.for_range(builder, depth) as loop:
            start = builder.add(tables[2], builder.mul(loop.index, _int64(width * UNIT.lanes * WORD)))
            row = [builder.load(_point_to_vector(builder, start, j), align=WORD) for j in range(width)]
            offset = builder.mul(loop.index, step)
            for address, row_sums in zip(values, sums, strict=True):
                value = _load_everywhere(builder, builder.add(address, offset))
                for at, vector in zip(row_sums, row, strict=True):
                    builder.store(_multiply_and_add(builder, builder.load(at), value, vector, is_half), at)
        for address, row_sums in zip(totals, sums, strict=True):
            for j, at in enumerate(row_sums):
                place = _point_to_vector(builder, address, j)
                builder.store(builder.fadd(builder.load(place, align=WORD), builder.load(at)), place, align=WORD)
        return context.get_dummy_value()

    return types.void(*arguments), generate


add_products: Any = intrinsic(_generate_products)


def _generate_packing(
    typing_context: Any, kind: Any, first: Any, second: Any, target: Any, num_vectors: Any, step: Any
) -> Any:
    """Generate code that copies a row of float32, or two of bfloat16 into the halves of one row of words.

    Args:
        typing_context: numba's.
        kind: any array of the rows' type: integers for the bits of float32, or of bfloat16.
        first: address of a row, whose numbers become whole words or the first halves of words.
        second: address of the row whose bfloat16 become the second halves; not read for float32.
        target: address of the first vector of words.
        num_vectors: how many vectors of `lanes` words to write.
        step: bytes from one vector of the target to the next.
    """
    arguments = (kind, first, second, target, num_vectors, step)
    is_half = kind.dtype.bitwidth == 16
    words = ir.VectorType(ir.IntType(32), UNIT.lanes)

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _, first, second, target, num_vectors, step = given

        def load_words(row: Any, number: Any) -> Any:
            numbers = ir.VectorType(ir.IntType(kind.dtype.bitwidth), UNIT.lanes)
            place = builder.add(row, builder.mul(number, _int64(UNIT.lanes * kind.dtype.bitwidth // 8)))
            loaded = builder.load(builder.inttoptr(place, numbers.as_pointer()), align=2)
            return builder.zext(loaded, words) if is_half else loaded

        with cgutils.for_range(builder, num_vectors) as loop:
            word = load_words(first, loop.index)
            if is_half:
                word = builder.or_(word, builder.shl(load_words(second, loop.index), words([16] * UNIT.lanes)))
            place = builder.add(target, builder.mul(loop.index, step))
            builder.store(word, builder.inttoptr(place, words.as_pointer()), align=WORD)
        return context.get_dummy_value()

    return types.void(*arguments), generate


pack_words: Any = intrinsic(_generate_packing)


def _find_data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Find the address of an array's first number."""
    return builder.ptrtoint(context.make_array(array_type)(context, builder, array).data, _INT64)


def _int64(value: int) -> Any:
    return ir.Constant(_INT64, value)


def _load_address(builder: Any, table: Any, first: Any, row: int) -> Any:
    place = builder.add(table, builder.mul(builder.add(first, _int64(row)), _int64(8)))
    return builder.load(builder.inttoptr(place, _INT64.as_pointer()))


def _make_sums(builder: Any, width: int) -> list[list[Any]]:
    """Make variables of zeros, which the compiler keeps in registers."""
    sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(width)] for _ in range(ROWS)]
    for row in sums:
        for at in row:
            builder.store(ir.Constant(_VECTOR, [0.0] * UNIT.lanes), at)
    return sums


def _point_to_vector(builder: Any, address: Any, number: int) -> Any:
    return builder.inttoptr(builder.add(address, _int64(number * UNIT.lanes * WORD)), _VECTOR.as_pointer())


def _load_everywhere(builder: Any, address: Any) -> Any:
    """Load a word into all lanes of a vector."""
    word = builder.load(builder.inttoptr(address, _FLOAT.as_pointer()), align=WORD)
    nothing, first = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), UNIT.lanes), [0] * UNIT.lanes)
    return builder.shuffle_vector(builder.insert_element(nothing, word, first), nothing, lanes)


def _multiply_and_add(builder: Any, total: Any, value: Any, row: Any, is_half: bool) -> Any:
    if not is_half:
        product = builder.fmul(value, row, flags=("contract",))
        return builder.fadd(total, product, flags=("contract",))
    if not UNIT.has_bfloat16:  # never called, but compiled beside what is
        return total
    pairs = ir.VectorType(_BFLOAT, 2 * UNIT.lanes)
    signature = ir.FunctionType(_VECTOR, (_VECTOR, pairs, pairs))
    multiply = cgutils.get_or_insert_function(builder.module, signature, "llvm.x86.avx512bf16.dpbf16ps.512")
    return builder.call(multiply, (total, builder.bitcast(value, pairs), builder.bitcast(row, pairs)))
