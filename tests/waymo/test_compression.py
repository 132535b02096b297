"""zlib streams, read by isal and by the zlib that stands in for it."""

from __future__ import annotations

import importlib
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


def test_writes_what_zlib_reads() -> None:
    assert zlib.decompress(compression.deflate(DATA)) == DATA
