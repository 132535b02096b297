"""zlib streams, read by libdeflate and by the zlib that stands in for it."""

from __future__ import annotations

import importlib
import tracemalloc
import zlib

import numpy as np
import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.waymo import compression

DATA = np.random.default_rng(0).normal(size=3000).astype(np.float32).tobytes()


@pytest.fixture(params=["deflate", None])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    library = importlib.import_module(request.param) if request.param else None
    monkeypatch.setattr(compression, "_LIBDEFLATE", library)


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
    """A stream of 33 kB that holds 32 MB: neither more time nor more memory than the limit takes."""
    bomb = memoryview(zlib.compress(bytes(1 << 25), 9))
    tracemalloc.start()
    with pytest.raises(UserError, match=f"{len(bomb)} bytes that decompress to more than 1000000"):
        compression.inflate(bomb, 1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20  # Python's own counting; growing buffers take up to twice what they hold
    assert len(compression.inflate(bomb, 1 << 25)) == 1 << 25


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


@pytest.mark.usefixtures("reader")
def test_more_than_an_image_usually_holds() -> None:
    """The first block of memory is too small, and the second is as large as the stream may become."""
    large = DATA * 400  # 4.8 MB, and compressible
    assert compression.inflate(memoryview(zlib.compress(large, 1))) == large


def test_libdeflate_takes_what_zlib_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged streams, and streams with bytes behind their end, are read alike, or refused in the same words."""
    rng, stream = np.random.default_rng(1), zlib.compress(DATA[:600], 6)
    streams = [stream + b"more", stream + stream]
    for _ in range(1000):
        damaged = bytearray(stream)
        damaged[rng.integers(len(stream))] ^= 1 << rng.integers(8)
        streams.append(bytes(damaged[: rng.integers(1, 2 * len(stream))]))
    quick = [_describe(one) for one in streams]
    monkeypatch.setattr(compression, "_LIBDEFLATE", None)
    assert quick == [_describe(one) for one in streams]
    assert sum(isinstance(one, bytes) for one in quick) >= 2


def _describe(stream: bytes) -> bytes | str:
    try:
        return bytes(compression.inflate(memoryview(stream)))
    except UserError as error:
        return str(error)


def test_writes_what_zlib_reads() -> None:
    assert zlib.decompress(compression.deflate(DATA)) == DATA
