"""Points to Arrow and back: exact to the bit, compact within what it promises, readable by others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pcdet_poly.data.store.arrow_points import MAX_COORDINATE_M, PRECISIONS, Precision, decode_points, encode_points
from pcdet_poly.errors import UserError
from pcdet_poly.structures import POINT_COLUMNS
from tests.data.frames import make_points

FIVE = POINT_COLUMNS[:5]
COORDINATE_BOUND_M = 1 / 512
RELATIVE_BOUND = 2.0**-11
SMALLEST_BOUND = 2.0**-25  # of values below 2^-14, where float16 has fewer bits


def column(data: bytes, name: str, dtype: str) -> np.ndarray:
    """A column of a frame's file, as docs/data_format.md reads it."""
    table = pa.ipc.open_file(data).read_all()
    planes = [table[f"{name}.{i}"].to_numpy() for i in range(np.dtype(dtype).itemsize)]
    return np.stack(planes, axis=1).view(dtype)[:, 0]


def bits(points: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(points).view(np.uint32)


@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 30), st.just(5)), elements=st.floats(width=32)))
@settings(max_examples=100, deadline=None)
def test_exact_keeps_every_bit_of_any_float(points: np.ndarray) -> None:
    assert np.array_equal(bits(decode_points(encode_points(points, FIVE, "exact"), FIVE)), bits(points))


@pytest.mark.parametrize("special", [0.0, -0.0, 1.0, 255.0, 256.0, 0.5, np.nan, np.inf, -1.0])
def test_exact_keeps_a_column_of_one_special_value(special: float) -> None:
    points = np.full((4, 5), special, np.float32)
    points[2:] = 3.0
    assert np.array_equal(bits(decode_points(encode_points(points, FIVE, "exact"), FIVE)), bits(points))


coordinates = st.floats(-MAX_COORDINATE_M, MAX_COORDINATE_M, width=32)
features = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)


@given(st.lists(st.tuples(coordinates, coordinates, coordinates, features, features), max_size=40))
@settings(max_examples=100, deadline=None)
def test_compact_stays_within_its_bounds(rows: list[tuple[float, ...]]) -> None:
    points = np.array(rows, np.float32).reshape(-1, 5)
    back = decode_points(encode_points(points, FIVE, "compact"), FIVE)
    given_, got = points.astype(np.float64), back.astype(np.float64)
    assert np.all(np.abs(got[:, :3] - given_[:, :3]) <= COORDINATE_BOUND_M)
    bound = np.maximum(RELATIVE_BOUND * np.abs(given_[:, 3:]), SMALLEST_BOUND)
    assert np.all(np.abs(got[:, 3:] - given_[:, 3:]) <= bound)


@pytest.mark.parametrize(("largest", "kind"), [(65504.0, "<f2"), (-65504.0, "<f2"), (65512.0, "<f4"), (1e30, "<f4")])
def test_compact_takes_half_the_bytes_where_values_allow_it(largest: float, kind: str) -> None:
    points = make_points(np.random.default_rng(6), 100)
    points[3, 3] = largest
    data = encode_points(points, POINT_COLUMNS, "compact")
    num_bytes = [name.partition(".")[0] for name in pa.ipc.open_file(data).schema.names].count
    assert (num_bytes("intensity"), num_bytes("elongation")) == (np.dtype(kind).itemsize, 2)
    assert np.array_equal(column(data, "intensity", kind).astype(np.float32), decode_points(data, POINT_COLUMNS)[:, 3])


def test_compact_is_stable_after_the_first_time() -> None:
    points = make_points(np.random.default_rng(0), 1000)
    once = decode_points(encode_points(points, POINT_COLUMNS, "compact"), POINT_COLUMNS)
    twice = decode_points(encode_points(once, POINT_COLUMNS, "compact"), POINT_COLUMNS)
    assert np.array_equal(once, twice)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_flags_and_numbers_come_back_exactly(precision: Precision) -> None:
    points = make_points(np.random.default_rng(1), 1000)
    back = decode_points(encode_points(points, POINT_COLUMNS, precision), POINT_COLUMNS)
    assert np.array_equal(back[:, 5:], points[:, 5:])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("num_points", [0, 1, 2])
def test_few_points(precision: Precision, num_points: int) -> None:
    points = make_points(np.random.default_rng(2), num_points)
    back = decode_points(encode_points(points, POINT_COLUMNS, precision), POINT_COLUMNS)
    assert back.shape == points.shape
    np.testing.assert_allclose(back, points, atol=COORDINATE_BOUND_M, rtol=RELATIVE_BOUND)


def test_compact_decodes_as_the_documentation_says() -> None:
    points = make_points(np.random.default_rng(3), 200)
    steps = column(encode_points(points, POINT_COLUMNS, "compact"), "x_steps", "<i4")
    x = np.cumsum((steps >> 1) ^ -(steps & 1)) / 256  # docs/data_format.md
    assert np.array_equal(x, np.rint(points[:, 0].astype(np.float64) * 256) / 256)


def test_exact_decodes_as_the_documentation_says() -> None:
    points = make_points(np.random.default_rng(4), 200)
    data = encode_points(points, POINT_COLUMNS, "exact")
    floats = [column(data, name, "<f4") for name in POINT_COLUMNS[:5]]
    flags = [pa.ipc.open_file(data).read_all()[name].to_numpy() for name in POINT_COLUMNS[5:]]
    assert np.array_equal(np.stack([*floats, *flags], axis=1), points)


def test_others_read_it_as_feather() -> None:
    data = encode_points(make_points(np.random.default_rng(4), 200), POINT_COLUMNS, "compact")
    assert feather.read_table(pa.BufferReader(data)).num_rows == 200


@pytest.mark.parametrize(("index", "value"), [(0, np.nan), (2, np.inf), (1, 1e6), (3, np.nan), (4, -np.inf)])
def test_compact_refuses_what_it_cannot_hold(index: int, value: float) -> None:
    points = make_points(np.random.default_rng(5), 10)
    points[7, index] = value
    with pytest.raises(UserError, match=f"point 7: {POINT_COLUMNS[index]} = .* exact"):
        encode_points(points, POINT_COLUMNS, "compact")


def test_scan_order_makes_compact_small() -> None:
    angle = np.linspace(0, 2 * np.pi, 20_000, dtype=np.float32)
    points = np.zeros((len(angle), 8), np.float32)
    points[:, 0], points[:, 1] = 30 * np.cos(angle), 30 * np.sin(angle)
    assert len(encode_points(points, POINT_COLUMNS, "compact")) < len(angle)  # under a byte per point
