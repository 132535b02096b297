"""A run as a function, and as a command on clouds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pcdet_poly.commands.detectors.detect import CLOUD_FORMATS
from pcdet_poly.commands.main import main
from pcdet_poly.data.convert.formats import cloud_files
from pcdet_poly.engine.checkpoint import config_hash, config_values, load_checkpoint, load_model
from pcdet_poly.engine.detector import Detector
from pcdet_poly.engine.evaluate import evaluate_recipe
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.engine.train import train
from pcdet_poly.errors import UserError
from tests.tiny import frame
from tests.tolerances import NETWORK


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    config = tiny(evaluate_every=0)
    frames = open_training_frames(config)
    folder = tmp_path_factory.mktemp("detector") / "run"
    run, recipe = prepare_run(config, frames, folder, torch.device("cpu"), resume=False)
    train(run, recipe, frames, None)
    return folder


def test_equal_to_the_evaluation_of_the_run(folder: Path, tmp_path: Path) -> None:
    detector = Detector.load(folder)
    frames = open_training_frames(detector.config)
    recipe = build_seeded_recipe(detector.config, torch.device("cpu"))
    (path,) = sorted((folder / "checkpoints").glob("step_*.pt"))[-1:]
    load_model(recipe.model, load_checkpoint(path), path, detector.config)
    pictures = tmp_path / "pictures"
    (pictures / "mine").mkdir(parents=True)
    (pictures / "thesis.png").write_text("drawn by hand")
    evaluation = evaluate_recipe(detector.config, recipe, frames, torch.device("cpu"), pictures=pictures)
    assert (pictures / "mine").is_dir()
    assert (pictures / "thesis.png").read_text() == "drawn by hand"  # only what we wrote is ours to remove
    assert sum(len(found) for found in evaluation.detections) > 20
    for number, wanted in enumerate(evaluation.detections):
        found = detector(frames[number].points[:, :5])
        np.testing.assert_allclose(found.score, wanted.score, **NETWORK)
        order, others = np.lexsort(found.box.T.round(3)), np.lexsort(wanted.box.T.round(3))
        np.testing.assert_allclose(found.box[order], wanted.box[others], rtol=0, atol=1e-3)  # 1e-4 of sizes below 10 m


def test_few_columns_and_no_points(folder: Path) -> None:
    detector = Detector.load(folder)
    assert detector(frame(0).points[:, :3]).box.shape[1] == 7
    assert detector(np.zeros((0, 5), np.float32)).box.shape[1] == 7
    with pytest.raises(ValueError, match=r"shape \(5, 2\)"):
        detector(np.zeros((5, 2)))


def test_the_command_writes_a_picture_and_boxes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clouds = tmp_path / "clouds"
    clouds.mkdir()
    np.save(clouds / "a.npy", frame(0).points[:, :5])
    frame(1).points[:, :4].copy().tofile(clouds / "b.bin")
    words = ["detect", str(folder), str(clouds), "--output", str(tmp_path / "out"), "--score", "0.05"]
    assert main(words) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a.npy.png",
        "a.npy.json",
        "b.bin.png",
        "b.bin.json",
    }
    written = json.loads((tmp_path / "out/a.npy.json").read_text())
    boxes, made_by = written["boxes"], written["made_by"]
    assert (made_by["run"], made_by["classes"]) == (folder.name, ["VEHICLE", "PEDESTRIAN", "CYCLIST"])
    assert made_by["config_hash"] == config_hash(config_values(Detector.load(folder).config))
    found = Detector.load(folder)(frame(0).points[:, :5])
    assert len(boxes) == (found.score >= 0.05).sum() > 0
    assert boxes[0]["x"] == pytest.approx(float(found.box[0, 0]))
    assert "450 points" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent", "a.npy"], "not a run"),
        (["{run}", "absent.npy"], "no such file"),
        (["{run}", "{empty}"], "no point cloud in it"),
        (["{run}", "a/c.npy", "b/c.npy"], "two clouds have this name"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["detect", *(word.format(run=folder, empty=tmp_path) for word in words)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "detections").exists()


def test_the_package_has_it_and_loads_nothing_heavy_before() -> None:
    import pcdet_poly

    assert pcdet_poly.Detector is Detector
    with pytest.raises(AttributeError, match="no attribute 'detector_'"):
        pcdet_poly.detector_  # noqa: B018


def test_a_broken_point_is_left_out_and_told(folder: Path) -> None:
    detector = Detector.load(folder)
    points = frame(0).points[:, :5].copy()
    wanted = detector(np.delete(points, [5, 9], axis=0))
    points[5, 3], points[9, 4] = np.nan, np.inf
    with pytest.warns(UserWarning, match="2 points are not finite and were left out"):
        found = detector(points)
    np.testing.assert_array_equal(found.box, wanted.box)
    np.testing.assert_array_equal(found.score, wanted.score)


def test_clouds_that_cannot_or_may_not_be_meant(folder: Path) -> None:
    detector = Detector.load(folder)
    with pytest.raises(UserError, match="half of the points are farther than"):
        detector(frame(0).points[:, :5] * np.array([1000, 1000, 1000, 1, 1], np.float32))
    with pytest.warns(UserWarning, match="from 0 to 255"):
        detector(frame(0).points[:, :5] * np.array([1, 1, 1, 255, 1], np.float32))


def test_the_command_names_formats_and_prints_warnings(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = np.column_stack([frame(0).points[:, :4], np.arange(450) % 32]).astype(np.float32)
    rows[:, 3] *= 255
    rows[7, 0] = np.nan
    rows.tofile(tmp_path / "a.pcd.bin")
    words = ["detect", str(folder), str(tmp_path / "a.pcd.bin"), "--output", str(tmp_path / "out")]
    assert main([*words, "--format", "nuscenes", "--picture-format", "svg"]) == 0
    said = capsys.readouterr()
    assert "449 points" in said.out
    assert said.err == f"warning: {tmp_path / 'a.pcd.bin'}: 1 points are not finite and were left out\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.pcd.bin.json", "a.pcd.bin.svg"]
    assert main([*words, "--bin-columns", "5"]) == 2
    assert "say --format nuscenes" in capsys.readouterr().err
    for given, says in (
        ("kitti,nuscenes", "invalid choice: 'kitti,nuscenes' (choose from 'kitti', 'nuscenes', "),
        ("kity", "did you mean 'kitti'?"),
        ("svg", "--format: svg has formats of pictures; give --picture-format svg;"),
        ("kitti,svg,pdf", "kitti,svg,pdf has formats of pictures; give --format kitti --picture-format svg,pdf;"),
    ):
        assert main([*words, "--format", given]) == 2
        assert says in capsys.readouterr().err
    assert list(cloud_files.CLOUD_FORMATS) == list(CLOUD_FORMATS)  # those of the help
