"""zlib streams, read by isal and by the zlib that stands in for it."""

from __future__ import annotations

import importlib
import tracemalloc
import zlib

import numpy as np
import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.waymo import compression

DATA = np.random.default_rng(0).normal(size=3000).astype(np.float32).tobytes()


@pytest.fixture(params=["isal.isal_zlib", "zlib"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_READER", importlib.import_module(request.param))


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_reads_any_level(level: int) -> None:
    assert compression.inflate(memoryview(zlib.compress(DATA, level))) == DATA
    assert compression.inflate(memoryview(zlib.compress(b"", level))) == b""


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("stream", [b"", b"no stream", zlib.compress(DATA)[:-1], zlib.compress(DATA)[:-1] + b"?"])
def test_damaged_streams(stream: bytes) -> None:
    with pytest.raises(UserError, match=f"{len(stream)} bytes that do not decompress"):
        compression.inflate(memoryview(stream))


@pytest.mark.usefixtures("reader")
def test_stops_at_the_limit() -> None:
    """A stream of 130 kB that holds 128 MB: neither more time nor more memory than the limit takes."""
    bomb = memoryview(zlib.compress(bytes(1 << 27), 9))
    tracemalloc.start()
    with pytest.raises(UserError, match=f"{len(bomb)} bytes that decompress to more than 1000000"):
        compression.inflate(bomb, 1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20  # Python's own counting; growing buffers take up to twice what they hold
    assert len(compression.inflate(bomb, 1 << 27)) == 1 << 27


@pytest.mark.usefixtures("reader")
def test_the_limit_changes_nothing_below_it() -> None:
    stream = memoryview(zlib.compress(DATA))
    assert compression.inflate(stream, len(DATA)) == DATA
    with pytest.raises(UserError, match=f"decompress to more than {len(DATA) - 1}"):
        compression.inflate(stream, len(DATA) - 1)
    for cut in (stream[:-1], stream[:-5], stream[:100]):
        with pytest.raises(UserError, match="bytes that do not decompress: incomplete"):
            compression.inflate(cut, len(DATA))
    wrong_checksum = memoryview(bytes(stream[:-1]) + bytes([stream[-1] ^ 1]))
    with pytest.raises(UserError, match=f"{len(stream)} bytes that do not decompress"):
        compression.inflate(wrong_checksum, len(DATA))


def test_writes_what_zlib_reads() -> None:
    assert zlib.decompress(compression.deflate(DATA)) == DATA
