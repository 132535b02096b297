"""What a Parquet file unpacks to is known before it is unpacked, whatever its footer claims."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import read_detections
from pcdet_poly.evaluation.files import detections
from pcdet_poly.limits.parquet_sizes import count_unpacked_bytes

ROWS = 3000
COLUMNS = {  # and the bytes that a value is counted with
    "whole": (pa.array(np.arange(ROWS, dtype=np.int64)), 8),
    "equal": (pa.array(np.zeros(ROWS, np.float32)), 4),
    "lists": (pa.array([[1.0, 2.0]] * ROWS, pa.list_(pa.float32())), 8),
    "texts": (pa.array(["text"] * ROWS), 64),
    "flags": (pa.array([True] * ROWS), 1),
}


def write(**options: Any) -> bytes:
    file = BytesIO()
    pq.write_table(pa.table({name: column for name, (column, _) in COLUMNS.items()}), file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"data_page_version": "2.0"},
        {"use_dictionary": False},
        {"row_group_size": 1000, "data_page_size": 100},
        {"compression": "zstd", "write_page_index": True, "write_page_checksum": True},
    ],
)
@pytest.mark.parametrize("look_at_pages", [True, False])
def test_values_are_counted_in_footer_and_pages(options: dict[str, Any], look_at_pages: bool) -> None:
    counted = count_unpacked_bytes(BytesIO(write(**options)), look_at_pages=look_at_pages)
    assert sum(counted) == ROWS * sum(width for _, width in COLUMNS.values())
    assert len(counted) == (3 if "row_group_size" in options else 1)


def write_bomb(path: Path) -> None:
    """A file of 2 kB whose columns are of 400,000 equal numbers each."""
    lists = pa.ListArray.from_arrays([0, 400_000], pa.array(np.zeros(400_000, np.float32)))
    columns = {"frame_id": ["a/1"], "box": lists, "score": lists, "label": pa.array([[0]], pa.list_(pa.int16()))}
    table = pa.table(columns).replace_schema_metadata({"class_names": '["VEHICLE"]'})
    pq.write_table(table, path, compression="zstd")


def encode(number: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    number, text = number << 1, b""
    while number > 127:
        text, number = text + bytes([number & 127 | 128]), number >> 7
    return text + bytes([number])


def test_many_equal_numbers_are_refused_before_they_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    write_bomb(path)
    assert path.stat().st_size < 3000
    monkeypatch.setattr(detections, "MAX_BYTES", 3_000_000)
    monkeypatch.setattr(pq, "read_table", lambda *_, **__: pytest.fail("unpacked"))
    with pytest.raises(UserError, match="at most 3000000 are read; set PCDET_POLY_MAX_EVALUATION_BYTES") as caught:
        read_detections(path)
    assert str(caught.value).startswith(f"{path}: its columns take 3200")


def test_a_footer_that_says_less_than_the_pages_hides_nothing(tmp_path: Path) -> None:
    write_bomb(tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    wanted = encode(400_000)
    assert data.count(wanted, footer) >= 2
    lying = data[:footer] + data[footer:].replace(wanted, encode(300_000 & 0x3FFF | 1 << 14))
    assert len(lying) == len(data)
    assert sum(count_unpacked_bytes(BytesIO(lying), look_at_pages=False)) < 300_000
    assert sum(count_unpacked_bytes(BytesIO(lying))) > 3_000_000


@pytest.mark.parametrize(
    "footer",
    [
        b"",
        b"\x00",
        b"\x49\x1c" + b"\x1c" * 200_000,  # structures in each other
        b"\x49" + b"\x19" * 200_000,  # lists in each other
        b"\x49\xfc\xff\xff\xff\xff\x0f",  # 2^32 row groups
        b"\x4c\x00",  # row groups that are no list
        b"\x18\xff\xff\xff\xff\x0f",  # a text of 4 GB
        b"\x16" + b"\xff" * 20,  # a number without an end
        b"\x1f",  # a type that there is not
    ],
)
def test_a_footer_made_to_do_harm_is_damaged(footer: bytes) -> None:
    with pytest.raises(ValueError, match=r"footer|cut off"):
        count_unpacked_bytes(BytesIO(b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"))


def test_no_changed_byte_is_more_than_damage() -> None:
    data, rng = write(), np.random.default_rng(0)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for position in rng.integers(footer, len(data), 500):
        changed = bytearray(data)
        changed[position] ^= int(rng.integers(1, 256))
        try:
            counted = count_unpacked_bytes(BytesIO(bytes(changed)))
        except ValueError:
            continue
        assert all(isinstance(count, int) for count in counted)
