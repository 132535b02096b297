"""Our readers and a user's own fill a store through the same door."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.config import plugins
from pcdet_poly.data.convert.from_npz import import_npz
from pcdet_poly.data.convert.from_reader import convert_with_reader
from pcdet_poly.errors import UserError

NO_FRAMES = """
from pcdet_poly.config.kinds import ReaderKind
def read_texts(path, advance, report):
    yield "a frame"
def read_two(path, advance): ...
Texts = ReaderKind(read_texts)
Two = ReaderKind(read_two)
"""


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder of two .npz frames."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(2):
        points = np.random.default_rng(number).uniform(-5, 5, (20, 4)).astype(np.float32)
        box = np.array([[0, 0, 0, 4, 2, 1.5, 0.1]], np.float32)
        np.savez(folder / f"{number}.npz", points=points, boxes=box, names=np.array(["VEHICLE"]))
    return folder


def test_our_reader_by_name_writes_the_bytes_that_import_npz_writes(frames: Path, tmp_path: Path) -> None:
    import_npz(frames, tmp_path / "ours")
    convert_with_reader([str(frames)], tmp_path / "named", "npz")
    names = sorted(path.name for path in (tmp_path / "ours").iterdir() if path.suffix != ".json")
    assert names
    for name in names:
        assert (tmp_path / "named" / name).read_bytes() == (tmp_path / "ours" / name).read_bytes()


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        ("my_readers:Texts", r"^--reader my_readers:Texts: gave a str, where a pcdet_poly Frame is needed$"),
        ("my_readers:Two", r"^--reader my_readers:Two: read_two\(path, advance\) does not take what it is called with"),
        ("npy", r"^--reader npy: no such reader; did you mean 'npz'\?$"),
    ],
)
def test_readers_that_do_not_fit_get_one_line(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, expected: str
) -> None:
    (tmp_path / "my_readers.py").write_text(NO_FRAMES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_ADMITTED", [])
    with pytest.raises(UserError, match=expected):
        convert_with_reader([str(frames)], tmp_path / "store", reader)
    sys.modules.pop("my_readers", None)
