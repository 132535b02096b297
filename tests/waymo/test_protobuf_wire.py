"""Walking the wire format in place, against the protobuf runtime."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcdet_poly.errors import UserError
from pcdet_poly.protos import dataset as proto
from pcdet_poly.waymo import decode_scan
from pcdet_poly.waymo.protobuf_wire import iterate_fields, read_byte_fields, read_float_matrix, read_integer


def test_fields_of_every_kind() -> None:
    # Written by hand from the encoding's specification: varint 300, fixed64, bytes, fixed32.
    message = bytes.fromhex("08ac02 11 0102030405060708 1a 03 616263 25 0a0b0c0d".replace(" ", ""))
    found = [
        (number, value if isinstance(value, int) else bytes(value))
        for number, value, _ in iterate_fields(memoryview(message))
    ]
    assert found == [(1, 300), (2, bytes(range(1, 9))), (3, b"abc"), (4, b"\n\x0b\x0c\r")]
    assert b"".join(whole for _, _, whole in iterate_fields(memoryview(message))) == message


def test_last_field_wins() -> None:
    message = proto.Laser(name=5, ri_return1=proto.RangeImage(range_image_compressed=b"x")).SerializeToString()
    message += proto.Laser(name=300).SerializeToString()
    assert read_integer(memoryview(message), 1) == 300
    assert read_integer(memoryview(message), 9) == 0
    assert {number: bytes(value) for number, value in read_byte_fields(memoryview(message)).items()} == {
        2: b"\x12\x01x"
    }


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1, 6), (64, 300, 4), (0, 3)])
@pytest.mark.parametrize("padding", range(4))
def test_float_matrix(shape: tuple[int, ...], padding: int) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    message = proto.MatrixFloat(data=values.ravel(), shape=proto.MatrixShape(dims=shape)).SerializeToString()
    matrix = read_float_matrix(memoryview(bytes(padding) + message)[padding:])
    assert matrix.dtype == np.float32
    assert not matrix.flags.writeable
    np.testing.assert_array_equal(matrix, values)


def test_float_matrix_in_the_other_encodings() -> None:
    """The floats one by one, in several chunks; the dimensions packed: all legal."""
    floats = [struct.pack("<f", value) for value in (1.5, -2.0, 3.25, 4.0)]
    one_by_one = b"".join(b"\x0d" + value for value in floats[:2])
    chunk = b"\x0a\x08" + floats[2] + floats[3]
    matrix = read_float_matrix(memoryview(one_by_one + chunk + b"\x12\x04\x0a\x02\x02\x02"))
    np.testing.assert_array_equal(matrix, [[1.5, -2.0], [3.25, 4.0]])


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"\x0a\x05abc", "ends beyond"),
        (b"\x0d\x01", "ends beyond"),
        (b"\x08\x80", "does not end"),
        (b"\x08" + b"\xff" * 11, "does not end"),
        (b"\x0b", "wire type 3"),
    ],
)
def test_malformed(message: bytes, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        list(iterate_fields(memoryview(message)))


def test_matrix_of_another_size() -> None:
    message = proto.MatrixFloat(data=[1, 2, 3], shape=proto.MatrixShape(dims=[2, 2])).SerializeToString()
    with pytest.raises(UserError, match=r"12 bytes for shape \(2, 2\)"):
        read_float_matrix(memoryview(message))


@pytest.mark.parametrize("length", [b"\x80\x80\x80\x80\x10", b"\xff" * 9 + b"\x01"])  # 2 ** 32, and -1 of 64 bits
def test_a_matrix_of_absurd_shape(length: bytes) -> None:
    """0 bytes fit, and numpy would say what a bug says."""
    shape = b"\x08" + length + b"\x08\x00"
    with pytest.raises(UserError, match="matrix of 0 bytes for shape"):
        read_float_matrix(memoryview(b"\x12" + bytes([len(shape)]) + shape))


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60))
def test_random_bytes_raise_user_errors(data: bytes) -> None:
    with pytest.raises(UserError):
        decode_scan(data)
