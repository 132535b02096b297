"""Where open3d has no wheel: everything but simulating and the window works, and those say what is missing."""

from __future__ import annotations

import importlib.abc
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from pcdet_poly.commands.main import main
from pcdet_poly.optional_libraries import load_open3d
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.waymo.encode import encode_scan
from pcdet_poly.waymo.tfrecord import write_records
from tests.tiny import TINY


class Hide(importlib.abc.MetaPathFinder):
    """Finds no open3d and no libusb_package, as where they are not installed."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname.partition(".")[0] in ("open3d", "libusb_package"):
            raise ModuleNotFoundError(f"No module named {fullname!r}")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated segment of two frames, made while open3d is there."""
    folder = tmp_path_factory.mktemp("records")
    write_records(folder / "segment-1.tfrecord", map(encode_scan, simulate_segment(1, num_frames=2, interval_s=1.0)))
    return folder


@pytest.fixture
def no_open3d(records: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("open3d", "libusb_package")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Hide(), *sys.meta_path])
    load_open3d.cache_clear()
    yield
    load_open3d.cache_clear()


@pytest.mark.usefixtures("no_open3d")
def test_convert_train_evaluate_detect(records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["preprocess", str(records), "--output", "store"]) == 0
    Path("own.yaml").write_text(yaml.safe_dump({"base": "quick"} | TINY))
    words = ["data.train=[store]", "data.val=[store]", "train.epochs=1", "--device", "cpu"]
    assert main(["train", "own.yaml", *words]) == 0
    assert main(["test", "runs/own", "--device", "cpu"]) == 0
    points = np.random.default_rng(0).uniform(-5, 5, (200, 4))
    for ending, header in (("ply", PLY), ("pcd", PCD)):
        with open(f"cloud.{ending}", "w") as file:
            file.write(header)
            np.savetxt(file, points)
    assert main(["detect", "runs/own", "cloud.ply", "cloud.pcd", "--output", "found", "--device", "cpu"]) == 0
    found = sorted(Path("found").glob("*.json"))
    assert len(found) == 2
    assert [json.loads(path.read_text()) is not None for path in found] == [True, True]


@pytest.mark.usefixtures("no_open3d")
def test_simulating_says_in_one_line_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(tmp_path / "records"), "--segments", "1", "--frames", "1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: open3d is needed to simulate records")
    assert error.count("\n") == 1
    assert "docs/installation.md" in error


PLY = """ply
format ascii 1.0
element vertex 200
property float x
property float y
property float z
property float intensity
end_header
"""
PCD = """VERSION 0.7
FIELDS x y z intensity
SIZE 4 4 4 4
TYPE F F F F
COUNT 1 1 1 1
WIDTH 200
HEIGHT 1
POINTS 200
DATA ascii
"""
