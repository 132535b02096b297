"""What a viewer shows of stores and runs: labels, saved and fresh detections; and the command."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pcdet_poly.commands.detectors.view import choose_frames
from pcdet_poly.commands.main import main
from pcdet_poly.engine.evaluate import evaluate_run
from pcdet_poly.engine.frames import open_frames_to_evaluate
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.engine.train import train
from pcdet_poly.engine.views import open_views
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import read_detections, write_detections
from pcdet_poly.evaluation.files.provenance import DataRecord, Provenance
from pcdet_poly.structures import Detections
from pcdet_poly.visualization.viewer.outcomes import FOUND, TRUE
from tests.tolerances import NETWORK

CPU = torch.device("cpu")
IDS = tuple(f"tiny/{100_000 * number}" for number in range(5))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny) -> Run:
    """Trained for a step and evaluated, so that detections.parquet is there."""
    settings = tiny(steps=2, evaluate_every=0, warmup=1)
    frames = open_frames_to_evaluate(settings)
    made, recipe = prepare_run(settings, frames, tmp_path_factory.mktemp("views") / "a run", CPU, resume=False)
    train(made, recipe, frames, frames)
    evaluate_run(made, recipe, frames, step=2)
    return made


def test_a_store_shows_its_points_and_labels(store: Path) -> None:
    views = open_views(store, [], checkpoint=None, min_score=0.3)
    assert (views.title, views.frame_ids) == ("store", IDS)
    view = views.load_view(3)
    assert (view.frame_id, len(view.xyz), view.detections) == (IDS[3], 450, None)
    assert [view.class_names[i] for i in view.labels.label] == ["VEHICLE"] * 3 + ["PEDESTRIAN", "CYCLIST"]
    assert (view.return_number == 1).all()


def test_a_run_shows_the_detections_that_its_evaluation_saved(run: Run) -> None:
    saved = read_detections(run.folder / "detections.parquet")
    lowest = np.sort(saved.detections[2].score)[-4]
    view = open_views(run.folder, [], checkpoint=None, min_score=float(lowest)).load_view(2)
    assert view.class_names == ("VEHICLE", "PEDESTRIAN", "CYCLIST")
    assert view.labels.label.tolist() == [0, 0, 0, 1, 2]
    assert len(view.detections) == 4
    every = open_views(run.folder, [], checkpoint=None, min_score=0.0).load_view(2).detections
    np.testing.assert_array_equal(every.box, saved.detections[2].box)


@pytest.mark.parametrize("how", ["checkpoint", "no file", "other frames", "other data"])
def test_the_detector_runs_where_nothing_fitting_was_saved(
    run: Run, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(run.folder, folder)
    saved = read_detections(run.folder / "detections.parquet")
    moved = [replace(found, box=found.box + 50) for found in saved.detections]
    ids = ["other/1", *saved.frame_ids[1:]] if how == "other frames" else saved.frame_ids
    stores = (DataRecord("elsewhere", "0123456789ab"),) if how == "other data" else ()
    made = Provenance(run="copy", stores=stores)
    write_detections(folder / "detections.parquet", ids, moved, saved.class_names, provenance=made)
    if how == "no file":
        (folder / "detections.parquet").unlink()
    checkpoint = "last" if how == "checkpoint" else None
    view = open_views(folder, [], checkpoint=checkpoint, min_score=0.0, device="cpu").load_view(2)
    np.testing.assert_allclose(view.detections.score, saved.detections[2].score, **NETWORK)
    np.testing.assert_allclose(
        view.detections.box,
        saved.detections[2].box,
        rtol=0,
        atol=1e-3,  # m: sizes are exponentials of maps that may be 1e-4 apart (NETWORK), of boxes below 10 m
    )
    assert ("running the detector" in capsys.readouterr().err) == (how in ("other frames", "other data"))


def test_overrides_of_the_detector_are_obeyed_and_those_of_files_need_no_detector(run: Run, store: Path) -> None:
    fewer = open_views(run.folder, ["decode.max_detections=3"], checkpoint=None, min_score=0.0, device="cpu").load_view(
        0
    )
    assert len(fewer.detections) == 3
    for path in run.checkpoints.iterdir():
        path.rename(path.with_suffix(".hidden"))
    try:
        open_views(run.folder, [f"data.val=[{store}]", "data.workers=0"], checkpoint=None, min_score=0.0).load_view(0)
    finally:
        for path in run.checkpoints.iterdir():
            path.rename(path.with_suffix(".pt"))


def test_mistakes_are_one_line(run: Run, store: Path, tmp_path: Path) -> None:
    def refused(folder: Path, *overrides: str, checkpoint: str | None = None) -> str:
        with pytest.raises(UserError) as caught:
            open_views(folder, overrides, checkpoint=checkpoint, min_score=0.3, device="cpu")
        return str(caught.value)

    assert "neither a run (config.yaml) nor a frame store (manifest.json)" in refused(tmp_path)
    assert "--checkpoint best is for runs" in refused(store, checkpoint="best")
    assert "override train.seed=1 is for runs" in refused(store, "train.seed=1")
    assert "data.val: the run names no store" in refused(run.folder, "data.val=[]")
    assert "no such folder" in refused(run.folder, f"data.val=[{tmp_path / 'gone'}]")
    assert "no such checkpoint" in refused(run.folder, checkpoint="gone.pt")


@pytest.mark.parametrize(
    ("frame", "frames", "positions"),
    [
        ("2", None, [2]),
        ("-1", None, [4]),
        ("tiny/300000", None, [3]),
        ("/0", None, [0]),
        (None, "1:3", [1, 2]),
        (None, "-2:", [3, 4]),
        (None, "::2", [0, 2, 4]),
        (None, None, []),
    ],
)
def test_frames_are_named_by_number_id_or_slice(frame: str | None, frames: str | None, positions: list[int]) -> None:
    assert choose_frames(IDS, frame, frames) == positions


@pytest.mark.parametrize(
    ("frame", "frames", "says"),
    [
        ("9", None, r"--frame 9: no such frame; numbers are 0 to 4; ids look like tiny/0"),
        ("i", None, r"--frame i: no such frame"),
        (None, "7:9", r"--frames 7:9: names none of the 5 frames"),
        (None, "3", r"--frames 3: names none .*write A:B"),
        (None, "a:b", r"--frames a:b"),
        (None, "0:5:0", r"--frames 0:5:0"),
        ("1", "0:2", r"--frame and --frames: give one of them"),
    ],
)
def test_frames_that_are_not_there_are_refused(frame: str | None, frames: str | None, says: str) -> None:
    with pytest.raises(UserError, match=says):
        choose_frames(IDS, frame, frames)


def test_the_end_of_an_id_names_one_frame_or_none() -> None:
    assert choose_frames(("a/x", "b/x", "b/y"), "b/x", None) == [1]
    with pytest.raises(UserError, match=r"--frame x: fits 2 frames; ids look like a/x"):
        choose_frames(("a/x", "b/x", "b/y"), "x", None)


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder on a machine without a display."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_display_the_command_writes_a_page(
    run: Run, no_display: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["view", str(run.folder)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "no display: writing a page for the browser"
    assert second.startswith("a_run.html: 5 of 5 frames, ")
    assert '"colour"' not in (no_display / "a_run.html").read_text()[:200]


def test_the_command_writes_pages_and_pictures_of_the_frames_asked_for(
    store: Path, no_display: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(store), "--frames", "1:3", "--png", "p.png", "--html", "h.html", "--colour", "height"]
    assert main(["view", *words]) == 0
    names = {path.name for path in no_display.iterdir()}
    assert names == {"h.html", *(f"p_0000{i}{end}.png" for i in (1, 2) for end in ("", "_above"))}
    for words, says in (
        (
            ["--png", "p.jpg"],
            "error: p.jpg: pictures are PNG, SVG or PDF files; choose a name that ends in .png, .svg or .pdf",
        ),
        (
            ["--html", "h.html", "--score", "3"],
            "error: --min-score/--score: '3': a score is from 0 to 1; see pcdet-poly view -h",
        ),
    ):
        capsys.readouterr()
        assert main(["view", str(store), *words]) == 2
        assert capsys.readouterr().err.splitlines() == [says]


@pytest.mark.parametrize(("least_iou", "found"), [(0.55, True), (0.65, False)])
def test_what_is_found_follows_the_run_s_own_thresholds(
    run: Run, tmp_path: Path, least_iou: float, found: bool
) -> None:
    """Every label is detected as a box of 0.6 its length, and so overlaps it by 0.6."""
    folder = tmp_path / "copy"
    shutil.copytree(run.folder, folder)
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    settings["evaluation"]["metrics"]["iou_thresholds"] = [least_iou] * 4
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    labels = [open_views(run.folder, [], checkpoint=None, min_score=0).load_view(i).labels for i in range(len(IDS))]
    share = np.array([1, 1, 1, 0.6, 1, 1, 1], np.float32)
    boxes = [Detections(rows.box * share, rows.label, np.full(len(rows), 0.9, np.float32)) for rows in labels]
    write_detections(folder / "detections.parquet", IDS, boxes, run.config.data.classes)
    outcomes = open_views(folder, [], checkpoint=None, min_score=0.3).load_view(1).outcomes
    assert outcomes is not None
    assert outcomes.counted.sum() >= 4
    assert (outcomes.judge_labels(0) == FOUND)[outcomes.counted].all() == found
    assert (outcomes.judge_detections(0) == TRUE).any() == found
