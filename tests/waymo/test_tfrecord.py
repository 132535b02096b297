"""TFRecord framing against a bit-by-bit CRC-32C, and every way a file can be broken."""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcdet_poly.errors import UserError
from pcdet_poly.waymo import read_records, write_records
from pcdet_poly.waymo.tfrecord import masked_crc32c

RECORDS = [b"first", b"", b"third record"]


def slow_masked_crc32c(data: bytes) -> int:
    """The definition: reflected polynomial 0x82F63B78, one bit at a time; then TFRecord's mask."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    """One record as the format says."""
    length = struct.pack("<Q", len(record))
    crcs = [struct.pack("<I", slow_masked_crc32c(part)) for part in (length, record)]
    return length + crcs[0] + record + crcs[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "segment.tfrecord"


def message_of(path: Path) -> str:
    """What reading `path` to its end complains about: one line that names the file."""
    with pytest.raises(UserError) as caught:
        list(read_records(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


def test_checksum_known_values() -> None:
    # RFC 3720, B.4: 32 bytes of zeros; and the usual check value of CRC-32C.
    for data, crc in [(bytes(32), 0x8A9136AA), (b"123456789", 0xE3069283)]:
        assert masked_crc32c(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF == slow_masked_crc32c(data)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_round_trip_and_bytes(tmp_path_factory: pytest.TempPathFactory, records: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("records") / "a.tfrecord"
    assert write_records(path, records) == len(records)
    assert path.read_bytes() == b"".join(map(framed, records))
    assert list(read_records(str(path))) == records


def test_every_flipped_bit_is_found(path: Path) -> None:
    sound = b"".join(map(framed, RECORDS))
    ends = [len(b"".join(map(framed, RECORDS[: i + 1]))) for i in range(len(RECORDS))]
    for bit in range(8 * len(sound)):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        number = next(i for i, end in enumerate(ends) if bit // 8 < end)
        text = message_of(path)
        assert f"record {number} at byte {ends[number - 1] if number else 0}: wrong checksum" in text


def test_every_cut_is_found(path: Path) -> None:
    sound = b"".join(map(framed, RECORDS))
    ends = {len(b"".join(map(framed, RECORDS[:count]))): count for count in range(1, len(RECORDS) + 1)}
    for size in range(1, len(sound)):
        path.write_bytes(sound[:size])
        if size in ends:
            assert list(read_records(path)) == RECORDS[: ends[size]]
            continue
        number = sum(end <= size for end in ends)
        offset = max([0, *(end for end in ends if end <= size)])
        assert f"record {number} at byte {offset}: the file is cut off" in message_of(path)


@settings(deadline=None, max_examples=50)
@given(record=st.binary(min_size=1, max_size=300), data=st.data())
def test_flipped_bits_in_any_record(
    tmp_path_factory: pytest.TempPathFactory, record: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("flips") / "a.tfrecord"
    write_records(path, [record])
    damaged = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    path.write_bytes(damaged)
    assert "record 0 at byte 0: wrong checksum" in message_of(path)


def test_missing_file(tmp_path: Path) -> None:
    assert "no such file" in message_of(tmp_path / "nothing.tfrecord")


def test_folder(tmp_path: Path) -> None:
    assert "a folder" in message_of(tmp_path)


def test_empty_file(path: Path) -> None:
    path.write_bytes(b"")
    assert "empty (0 bytes)" in message_of(path)


GZIPPED = gzip.compress(framed(b"x" * 50), mtime=0)  # a time in it would give every process another test


@pytest.mark.parametrize("content", [b"a text file, longer than a header\n", GZIPPED], ids=["text", "gzip"])
def test_not_a_tfrecord(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "record 0 at byte 0" in (text := message_of(path))
    assert "not a TFRecord file" in text


def test_sound_records_come_before_the_error(path: Path) -> None:
    path.write_bytes(framed(b"sound") + framed(b"damaged")[:-1] + b"!")
    records = read_records(path)
    assert next(records) == b"sound"
    with pytest.raises(UserError, match=re.escape("record 1 at byte 21: wrong checksum (CRC-32C) of its 7 bytes")):
        next(records)


def test_a_huge_length_is_not_believed(path: Path) -> None:
    length = struct.pack("<Q", 1 << 60)
    path.write_bytes(length + struct.pack("<I", slow_masked_crc32c(length)) + b"little")
    assert "cut off" in message_of(path)


def test_write_is_whole_or_not_at_all(path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_records(path, failing())
    assert list(path.parent.iterdir()) == []
    write_records(path, [b"old"])
    with pytest.raises(RuntimeError):
        write_records(path, failing())
    assert list(read_records(path)) == [b"old"]
    assert list(path.parent.iterdir()) == [path]


def test_reads_what_tensorflow_wrote(oracle: Path) -> None:
    (record,) = read_records(oracle / "waymo" / "synth_frame.tfrecord")
    assert len(record) == 2_601_963
