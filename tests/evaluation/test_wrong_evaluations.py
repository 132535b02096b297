"""Evaluations of what the user does not mean: the input, what must be said, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.bench_models import tell_differences
from pcdet_poly.commands.main import main
from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.engine.checkpoint import Checkpoint, config_values, save_checkpoint
from pcdet_poly.engine.run import start_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import evaluate, read_detections, write_detections, write_labels, write_predictions
from pcdet_poly.evaluation.checks.placement import find_confused_classes
from pcdet_poly.evaluation.evaluation_meta import EvaluationMeta
from pcdet_poly.evaluation.files.provenance import DataRecord, Provenance
from pcdet_poly.evaluation.metrics_file import read_metrics
from pcdet_poly.evaluation.tabulate import build_evaluation_set
from pcdet_poly.structures import WAYMO_CLASSES, Detections, Frame, GroundTruth
from tests.tiny import TINY, frame

CPU = torch.device("cpu")
CLASSES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
NUM_FRAMES = 8  # 40 objects: enough for what shares say
ZONE = (np.array([[0.0, 0.0], [12.0, 0.0], [12.0, 12.0], [0.0, 12.0]]),)


@dataclass(frozen=True)
class World:
    """A folder with a store, an untrained run on it, and what a perfect detector would find."""

    folder: Path
    frames: tuple[Frame, ...]

    @property
    def ids(self) -> list[str]:
        return [one.frame_id for one in self.frames]

    @property
    def found(self) -> list[Detections]:
        truths = [one.ground_truth for one in self.frames]
        return [Detections(t.box, t.label, np.linspace(0.9, 0.5, len(t), dtype=np.float32)) for t in truths]

    def change_boxes(self, change: Callable[[np.ndarray], np.ndarray]) -> list[Detections]:
        return [replace(rows, box=change(rows.box.astype(np.float64)).astype(np.float32)) for rows in self.found]


def number(index: int) -> Frame:
    return replace(frame(index), no_label_zones=ZONE, timestamp_us=1_500_000_000_000_000 + 100_000 * index)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("wrong")
    frames = tuple(number(index) for index in range(NUM_FRAMES))
    write_store(folder / "store", frames)
    write_store(folder / "other", [replace(one, segment="more") for one in frames[:3]])
    write_store(folder / "unlabelled", [replace(one, ground_truth=GroundTruth.empty()) for one in frames[:2]])
    no_points = [replace(one.ground_truth, num_points=np.zeros(5, np.int64)) for one in frames[:2]]
    write_store(
        folder / "no_points", [replace(one, ground_truth=rows) for one, rows in zip(frames, no_points, strict=False)]
    )
    write_store(folder / "relabelled", [replace(one, ground_truth=one.ground_truth[:4]) for one in frames])
    settings = TINY | {
        "data": TINY["data"] | {"train": [str(folder / "store")], "val": [str(folder / "store")], "val_every": 2},
        "evaluation": {
            "pictures": 0,
            "within": [-9.0, -9.0, 9.0, 9.0],
            "metrics": {"iou_thresholds": [0.01] * 4, "breakdowns": ["ONE_SHARD", "OBJECT_TYPE", "VELOCITY"]},
        },
    }
    config = Config.model_validate(settings)
    weights = build_seeded_recipe(config, CPU).model.state_dict()
    run = start_run(folder / "runs/tiny", config, CPU, resume=False)
    save_checkpoint(run.checkpoint_path(4), Checkpoint(4, 2, config_values(config), weights, {}, {}))
    here = World(folder, frames)
    write_detections(folder / "good.parquet", here.ids, here.found, WAYMO_CLASSES)
    write_labels(folder / "labels.bin", here.ids, [one.ground_truth for one in frames], WAYMO_CLASSES)
    assert main(["test", str(folder / "runs/tiny"), "--device", "cpu"]) == 0
    return here


def call(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Call a command: code, stdout, stderr on one line."""
    capsys.readouterr()
    workers = ["--workers", "1"] if words[0] == "evaluate" else []
    code = main([*map(str, words), *workers])
    said = capsys.readouterr()
    return code, said.out, " ".join(said.err.split())


def write(world: World, path: Path, found: list[Detections], ids: list[str] | None = None) -> Path:
    write_detections(path, ids or world.ids, found, WAYMO_CLASSES)
    return path


def with_scores(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[World], list[Detections]]:
    return lambda world: [replace(rows, score=change(rows.score).astype(np.float32)) for rows in world.found]


def with_boxes(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[World], list[Detections]]:
    return lambda world: world.change_boxes(change)


def turn_to_camera(box: np.ndarray) -> np.ndarray:
    """Vehicle frame to a camera's: x right, y down, z forward; spread as over a real street."""
    return np.column_stack([-box[:, 1], -box[:, 2], 4 * box[:, 0], box[:, 3:6], box[:, 6]])


def climb(box: np.ndarray) -> np.ndarray:
    """Boxes up a slope that hardly a street has, which a camera's axes would be as well."""
    return np.column_stack([box[:, :2], box[:, 2] + 2.0 * box[:, 0], box[:, 3:]])


def set_column(column: int | slice, factor: float, offset: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    def change(box: np.ndarray) -> np.ndarray:
        changed = box.copy()
        changed[:, column] = factor * box[:, column] + offset
        return changed

    return change


# What the predictions are -> exit code, what must be said on stderr.
WRONG_ROWS: dict[str, tuple[Callable[[World], list[Detections]], int, str]] = {
    "per cent": (with_scores(lambda s: 100 * s), 2, "scores are not in [0, 1] (the first is 90): up to 90: per cent?"),
    "logits": (with_scores(lambda s: np.log(s / (1 - s)) * 3 - 1), 2, "logits? apply a sigmoid first"),
    "distances": (with_scores(lambda s: 1000 * s), 2, "up to 900; scores are shares from 0 to 1"),
    "NaN scores": (with_scores(lambda s: np.where(s > 0.85, np.nan, s)), 2, "not a number; drop such boxes"),
    "infinite scores": (with_scores(lambda s: np.where(s > 0.85, np.inf, s)), 2, "up to inf"),
    "degrees": (with_boxes(lambda b: np.column_stack([b[:, :6], np.degrees(b[:, 6])])), 2, "degrees? headings are rad"),
    "world": (with_boxes(set_column(slice(0, 2), 1, 4.2e5)), 2, "coordinates of the world (UTM) or millimetres?"),
    "millimetres": (with_boxes(set_column(slice(0, 6), 1000)), 2, "millimetres? sizes are metres"),
    "sizes in mm": (with_boxes(set_column(slice(3, 6), 1000)), 2, "millimetres? sizes are metres"),
    "log sizes": (with_boxes(lambda b: np.column_stack([b[:, :3], -b[:, 3:6], b[:, 6]])), 2, "or logarithms?"),
    "camera boxes": (with_boxes(turn_to_camera), 2, "boxes of a camera? they are in the vehicle frame"),
    "a steep street": (with_boxes(climb), 0, "boxes of a camera? they are in the vehicle frame"),
    "joined twice": (
        lambda w: [Detections.concatenate([rows, rows]) for rows in w.found],
        2,
        "40 of 80 boxes are there twice, number for number",
    ),
    "one box twice": (
        lambda w: [Detections.concatenate([w.found[0], w.found[0][:1]]), *w.found[1:]],
        0,
        "1 of 41 boxes are there twice",
    ),
    "classes in another order": (
        lambda w: [replace(rows, label=np.array([1, 0, 2, 3])[rows.label]) for rows in w.found],
        2,
        "objects of other classes: VEHICLE on PEDESTRIAN, PEDESTRIAN on VEHICLE: are the classes in another order? "
        "(meant? --allow class-order)",
    ),
    "one score for all": (with_scores(lambda s: 0 * s + 1), 0, "all 40 scores are 1, so curves have one point: labels"),
    "vehicles called pedestrians": (
        lambda w: [replace(rows, label=np.array([1, 1, 2, 3])[rows.label])[rows.label == 0] for rows in w.found],
        0,
        "of 24 predictions of PEDESTRIAN that lie on an object, 24 lie on a VEHICLE: are the classes in another order?",
    ),
    "nothing wrong": (lambda w: w.found, 0, ""),
}


@pytest.mark.parametrize("name", WRONG_ROWS)
def test_rows_that_cannot_be_meant(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    make, code, expected = WRONG_ROWS[name]
    path = write(world, tmp_path / "wrong.parquet", make(world))
    got, _, err = call(capsys, "evaluate", path, world.folder / "labels.bin")
    assert got == code, err
    if expected:
        assert f"{path}: " in err
        assert expected in err
    else:
        assert err == ""


# Ids and detections of the predictions, more words -> exit code, what must be said.
WRONG_FRAMES: dict[str, tuple[Callable[[World], tuple[list[str], list[Detections]]], list[str], int, str]] = {
    "every fourth frame": (
        lambda w: (w.ids[::4], w.found[::4]),
        [],
        2,
        "6 of 8 frames of labels have no predictions (the first is tiny/1500000000100000); say which count: --frames",
    ),
    "every fourth frame, meant": (
        lambda w: (w.ids[::4], w.found[::4]),
        ["--frames", "predictions"],
        0,
        "6 of 8 frames of labels have no predictions (the first is tiny/1500000000100000); --frames predictions",
    ),
    "frames without labels": (
        lambda w: ([*w.ids, "tiny/7"], [*w.found, w.found[0]]),
        [],
        2,
        "1 of 9 frames of predictions have no labels (the first is tiny/7)",
    ),
    "milliseconds": (
        lambda w: ([i[:-3] for i in w.ids], w.found),
        [],
        2,
        "the predictions seem to count milliseconds where the labels count microseconds",
    ),
    "seconds, cut": (
        lambda w: ([f"tiny/{1_500_000_000 + k}" for k in range(8)], w.found),
        [],
        2,
        "the predictions seem to count seconds",
    ),
    "shifted times": (
        lambda w: ([f"tiny/{int(i.split('/')[1]) + 5}" for i in w.ids], w.found),
        [],
        2,
        "another unit, or times that were rounded or cut?",
    ),
    "other names": (
        lambda w: ([f"segment-{i}" for i in w.ids], w.found),
        [],
        2,
        "the times are the same, the segments are not: write both sides' names alike",
    ),
    "other data": (lambda w: ([f"a/{k}" for k in range(8)], w.found), [], 2, "check that both are of one data set"),
    "a frame twice": (
        lambda w: ([w.ids[0], *w.ids[:-1]], w.found),
        [],
        2,
        "frame tiny/1500000000000000 is there 2 times; keep one of them",
    ),
    "a time before 0": (lambda w: (["tiny/-1", *w.ids[1:]], w.found), [], 2, "frame tiny/-1: a time before 0"),
}


@pytest.mark.parametrize("name", WRONG_FRAMES)
def test_frames_that_one_side_lacks(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    make, words, code, expected = WRONG_FRAMES[name]
    ids, found = make(world)
    path = write(world, tmp_path / "wrong.parquet", found, ids)
    got, _, err = call(capsys, "evaluate", path, world.folder / "labels.bin", *words)
    assert got == code, err
    assert f"{path}: " in err
    assert expected in err


@pytest.mark.parametrize(("choice", "num_frames"), [("union", 9), ("predictions", 3), ("labels", 8)])
def test_frames_count_as_is_said(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: str, num_frames: int
) -> None:
    ids, found = [*world.ids[::4], "tiny/7"], [*world.found[::4], world.found[0]]
    path = write(world, tmp_path / "d.parquet", found, ids)
    out = tmp_path / "m.json"
    assert call(capsys, "evaluate", path, world.folder / "store", "--frames", choice, "--output", out)[0] == 0
    meta = json.loads(out.read_text())["meta"]
    objects = {"union": 40, "predictions": 10, "labels": 40}[choice]
    assert (meta["frames"], meta["ground_truths"]) == (num_frames, objects)
    assert meta["predictions"] == (10 if choice == "labels" else 15)


# Words after RUN -> what must be said, with exit code 2 and nothing changed in the run's folder.
WRONG_TESTS: list[tuple[list[str], str]] = [
    (["data.classes=[PEDESTRIAN,VEHICLE,CYCLIST]"], "its weights were trained with data.classes = ['VEHICLE', 'PEDE"),
    (["data.classes=[VEHICLE,PEDESTRIAN,SIGN]"], "its weights were trained with data.classes"),
    (["data.classes=[VEHICLE]"], "made by another model"),
    (["data.sweeps=2"], "made by another model"),
    (["grid.lower=[-12.8,-12.8,-2]", "grid.upper=[12.8,12.8,6]"], "its weights were trained with grid.lower"),
    (["grid.cell=[0.4,0.4,8]"], "its weights were trained with grid.cell"),
    (["model.encoder=dynamic_any_height"], "its weights were trained with model.encoder"),
    (["evaluation.within=[9,9,-9,-9]"], "no area; write [x0, y0, x1, y1] with x0 < x1 and y0 < y1"),
    (
        ["--data", "unlabelled"],
        "no label of VEHICLE, PEDESTRIAN, CYCLIST, so nothing can be measured (a testing split?)",
    ),
    (["--data", "store", "store"], "is in it 2 times; name each store once"),
    (["evaluation.within=[11.9,11.9,12,12]", "--output", "nowhere"], "so nothing was measured"),
]


@pytest.mark.parametrize(("words", "expected"), WRONG_TESTS)
def test_a_run_is_not_tested_as_what_it_is_not(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], expected: str
) -> None:
    monkeypatch.chdir(world.folder)
    before = {path: path.read_bytes() for path in Path("runs/tiny").rglob("*") if path.is_file()}
    code, _, err = call(capsys, "test", "runs/tiny", "--device", "cpu", *words)
    assert code == 2
    assert expected in err
    assert before == {path: path.read_bytes() for path in Path("runs/tiny").rglob("*") if path.is_file()}


def test_other_data_is_evaluated_beside_the_runs_own(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.folder)
    own = Path("runs/tiny/metrics.json").read_bytes()
    for _ in range(2):  # once more into the same folder
        code, out, _ = call(capsys, "test", "runs/tiny", "--device", "cpu", "--data", "other", "decode.score=0.01")
        assert (code, "runs/tiny/evaluations/other,decode.score=0.01: metrics.json" in out) == (0, True)
    assert Path("runs/tiny/metrics.json").read_bytes() == own
    (found,) = Path("runs/tiny/evaluations").iterdir()
    assert json.loads((found / "metrics.json").read_text())["meta"]["frames"] == 2  # every second of three
    assert read_detections(found / "detections.parquet").provenance.stores[0].folder == "other"
    code, out, _ = call(
        capsys, "test", "runs/tiny", "--device", "cpu", "--data", "store", "evaluation.picture_score=0.9"
    )
    assert (code, "evaluations" in out) == (0, False)  # the run's own data by another name, and nothing else found


def test_nothing_that_counts_is_said_in_the_table_and_by_the_code(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", world.folder / "no_points", "--output", tmp_path]
    code, out, err = call(capsys, "test", world.folder / "runs/tiny", "--device", "cpu", *words)
    assert (code, "no labels" in out, "0.00/0.00" in out) == (2, True, False), err + out
    assert "those with a LiDAR point" in err


def test_evaluation_of_files_is_that_of_the_run_bit_for_bit(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = world.folder / "runs/tiny", tmp_path / "m.json"
    own = json.loads((run / "metrics.json").read_text())
    assert any(row["ap"] > 0 for row in own["3D"].values())
    for words in ([run], [run / "detections.parquet", world.folder / "store", "--frames", "predictions"]):
        code, _, err = call(capsys, "evaluate", *words, "--output", out)
        assert code == 0, err
        assert "evaluated as tiny asks, VEHICLE, PEDESTRIAN, CYCLIST within -9, -9, 9, 9 m" in err
        again = json.loads(out.read_text())
        for part in ("3D", "BEV"):
            assert again[part] == own[part]
        for name in ("frames", "predictions", "ground_truths", "within", "classes", "objects"):
            assert again["meta"][name] == own["meta"][name], name
    saved = read_detections(run / "detections.parquet")
    older = tmp_path / "older"  # a run of a version that recorded nothing
    older.mkdir()
    (older / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    write_detections(older / "detections.parquet", saved.frame_ids, saved.detections, saved.class_names)
    code, _, err = call(capsys, "evaluate", older, "--output", out)
    assert (code, "evaluated as older asks" in err) == (0, True)
    assert json.loads(out.read_text())["3D"] == own["3D"]
    code, _, _ = call(capsys, "evaluate", run, "--within", "all", "--output", out)
    assert json.loads(out.read_text())["meta"]["within"] is None
    assert json.loads(out.read_text())["meta"]["ground_truths"] > own["meta"]["ground_truths"]


def test_without_labels_a_class_says_so_and_is_in_no_mean(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = ("VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST")
    write_detections(tmp_path / "d.parquet", world.ids, world.found, two)
    code, out, _ = call(
        capsys, "evaluate", tmp_path / "d.parquet", world.folder / "relabelled", "--output", tmp_path / "m.md"
    )
    text = (tmp_path / "m.md").read_text()
    assert code == 0
    assert "CYCLIST_LEVEL_1 | no labels" in text
    assert "mean of VEHICLE, PEDESTRIAN LEVEL_2 | 100.00" in text
    assert "ALL_NS" not in out
    code, out, _ = call(capsys, "evaluate", world.folder / "good.parquet", world.folder / "store")
    assert "ALL_NS_LEVEL_2" in out  # nothing is missing


def test_a_comparison_is_written_with_its_intervals(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "l.bin"
    ids = [f"{'ab'[k % 2]}/{k}" for k in range(8)]
    write_labels(labels, ids, [one.ground_truth for one in world.frames], WAYMO_CLASSES)
    one = write(world, tmp_path / "one.parquet", world.found, ids)
    other = write(world, tmp_path / "other.parquet", [rows[::2] for rows in world.found], ids)
    for kind in ("json", "csv", "md"):
        words = [one, labels, "--against", other, "--bootstrap", "20", "--output", tmp_path / f"m.{kind}"]
        assert call(capsys, "evaluate", *words)[0] == 0
    first, second, difference = (
        json.loads((tmp_path / f"m{name}.json").read_text()) for name in ("", "_against", "_difference")
    )
    row = "OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1"
    assert difference["3D"][row]["ap"] == first["3D"][row]["ap"] - second["3D"][row]["ap"] > 0
    assert difference["3D"][row]["ap_interval"][0] <= difference["3D"][row]["ap"]
    assert difference["meta"]["difference"] is True
    assert (tmp_path / "m_difference.csv").read_text().count(",ap,") > 8
    assert "resamplings of 2 segments" in (tmp_path / "m_difference.md").read_text()


def test_detectors_that_cannot_be_compared_are_told_apart(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = world.folder / "labels.bin"
    write_detections(tmp_path / "three.parquet", world.ids, world.found, ("VEHICLE", "PEDESTRIAN", "CYCLIST", "SIGN"))
    one_class = [rows[rows.label == 0] for rows in world.found]
    write_detections(tmp_path / "one.parquet", world.ids, one_class, ("VEHICLE",))
    code, _, err = call(capsys, "evaluate", tmp_path / "three.parquet", labels, "--against", tmp_path / "one.parquet")
    assert (code, "compare detectors of the same classes" in err) == (2, True)
    for name, grid in (("a", 1.0), ("b", 2.0)):
        made = Provenance(run=name, config_hash=name, data_hash=f"data_{name}", grid={"cell": [grid] * 3})
        write_detections(tmp_path / f"{name}.parquet", world.ids, world.found, WAYMO_CLASSES, provenance=made)
    code, _, err = call(capsys, "evaluate", tmp_path / "a.parquet", labels, "--against", tmp_path / "b.parquet")
    assert code == 0
    assert "differ in data: data_a and data_b" in err
    assert "differ in grid: {'cell': [1.0, 1.0, 1.0]} and {'cell': [2.0, 2.0, 2.0]}" in err


def test_data_that_has_changed_since_is_named(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Provenance(run="r", stores=(DataRecord("stores/val", "0123456789ab"),))
    write_detections(tmp_path / "d.parquet", world.ids, world.found, WAYMO_CLASSES, provenance=made)
    code, _, err = call(capsys, "evaluate", tmp_path / "d.parquet", world.folder / "store")
    assert code == 0
    assert f"detected in stores/val, which is other data than {world.folder / 'store'} now is" in err


def test_models_side_by_side_are_of_one_data_set_or_it_is_said(world: World) -> None:
    run = world.folder / "runs/tiny"
    meta, config = read_metrics(run / "metrics.json")[0].meta, load_config(run / "config.yaml")
    assert isinstance(meta, EvaluationMeta)
    assert list(tell_differences([run, run], [config, config], [meta, meta])) == []
    other = replace(meta, within=None, provenance=replace(meta.provenance, data_hash="0", stores=()))
    changed = replace(meta, provenance=replace(meta.provenance, stores=(DataRecord("s", "0"),)))
    one_class = config.model_copy(update={"data": config.data.model_copy(update={"classes": ("VEHICLE",)})})
    assert [
        line.split(" differ in ")[1].split(",")[0] for line in tell_differences([run] * 2, [config] * 2, [meta, other])
    ] == [
        "data",
        "evaluation.within",
    ]
    assert "data.classes" in next(iter(tell_differences([run] * 2, [config, one_class], [meta] * 2)))
    (line,) = tell_differences([run], [config], [changed])
    assert line == f"{run}/metrics.json: of other data than its data.val now is; test the run again"


def test_waymos_files_are_checked_alike(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.bin"
    write_predictions(path, world.ids[:6], world.found[:6], WAYMO_CLASSES)
    code, _, err = call(capsys, "evaluate", path, world.folder / "labels.bin")
    assert (code, "2 of 8 frames of labels have no predictions" in err) == (2, True)
    assert call(capsys, "evaluate", path, world.folder / "labels.bin", "--frames", "union")[0] == 0
    path.write_bytes(2 * path.read_bytes())  # joined twice
    code, _, err = call(capsys, "evaluate", path, world.folder / "labels.bin", "--frames", "union")
    assert (code, "30 of 60 boxes are there twice" in err) == (2, True)


# Rows of the arrays that are left out -> more words, exit code, what must be said.
LACKING: dict[str, tuple[dict[str, slice], list[str], int, str]] = {
    "predictions of two frames": ({"pd": slice(10, None)}, [], 2, "2 of 8 frames of labels have no predictions (the f"),
    "labels of three frames": (
        {"gt": slice(0, 25)},
        [],
        2,
        "3 of 8 frames of predictions have no labels (the first is",
    ),
    "meant": ({"pd": slice(10, None)}, ["--frames", "predictions"], 0, "--frames predictions"),
    "as empty ones": ({"pd": slice(10, None)}, ["--frames", "union"], 0, "--frames union"),
    "nothing": ({}, [], 0, ""),
}


@pytest.mark.parametrize("name", LACKING)
def test_arrays_whose_sides_have_other_frames(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    left, words, code, expected = LACKING[name]
    truths = [one.ground_truth for one in world.frames]
    frame = np.repeat(np.arange(NUM_FRAMES), 5)
    box, kind = np.concatenate([one.box for one in truths]), np.concatenate([one.label for one in truths]) + 1
    arrays = {"pd_frame": frame, "pd_box": box, "pd_type": kind, "pd_score": np.linspace(0.1, 0.9, len(box))}
    arrays |= {"gt_frame": frame, "gt_box": box, "gt_type": kind, "gt_num_points": np.where(frame == 1, 0, 9)}
    kept = {key: values[left.get(key[:2], slice(None))] for key, values in arrays.items()}
    np.savez(tmp_path / "both.npz", **kept)
    got, _, err = call(capsys, "evaluate", tmp_path / "both.npz", *words)
    assert (got, expected in err, bool(err)) == (code, True, bool(expected)), err


def test_predictions_in_another_frame_of_reference_are_told(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"tiny/{number}" for number in range(24)]
    truths = [frame(number).ground_truth for number in range(24)]
    write_labels(tmp_path / "labels.bin", ids, truths, WAYMO_CLASSES)
    for signs, columns, says in (
        ((1, -1), [0, 1], "with the other sign of y: y to the right?"),
        ((1, -1), [1, 0], "turned by a quarter: x to the left?"),
        ((-1, 1), [1, 0], "turned by a quarter: y forward?"),
    ):
        found = [Detections(t.box.copy(), t.label, np.linspace(0.9, 0.5, 5, dtype=np.float32)) for t in truths]
        for rows in found:
            rows.box[:, :2] = rows.box[:, columns] * np.array(signs, np.float32)
        write_detections(tmp_path / "d.parquet", ids, found, WAYMO_CLASSES)
        code, _, err = call(capsys, "evaluate", tmp_path / "d.parquet", tmp_path / "labels.bin")
        assert (code, says in err) == (0, True), err


def test_any_number_of_classes_is_looked_at_in_other_frames_of_reference() -> None:
    names = tuple(f"KIND{number}" for number in range(12))
    rng, found, truths = np.random.default_rng(0), [], []
    for _ in range(24):
        box = np.column_stack([rng.uniform(5, 40, (5, 2)), np.ones((5, 4)), np.zeros(5)]).astype(np.float32)
        label, score = rng.integers(8, 12, 5), rng.random(5).astype(np.float32)
        truths.append(replace(frame(0).ground_truth, box=box, label=label))
        found.append(Detections(box * np.array([1, -1, 1, 1, 1, 1, 1], np.float32), label, score))
    boxes = build_evaluation_set(found, truths, class_names=names, type_names=names)
    (line,) = find_confused_classes(boxes, names)
    assert "with the other sign of y" in line


def test_errors_that_are_meant(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, kind in (("camera boxes", "z-axis"), ("classes in another order", "class-order")):
        path = write(world, tmp_path / "meant.parquet", WRONG_ROWS[name][0](world))
        code, _, err = call(capsys, "evaluate", path, world.folder / "labels.bin")
        assert (code, f"--allow {kind}" in err) == (2, True)
        code, _, err = call(capsys, "evaluate", path, world.folder / "labels.bin", "--allow", kind)
        assert (code, "warning: " in err) == (0, True), err


@pytest.mark.parametrize("name", ["per cent", "logits", "NaN scores"])
def test_the_python_api_refuses_such_scores_too(world: World, name: str) -> None:
    make, _, expected = WRONG_ROWS[name]
    truths = [one.ground_truth for one in world.frames]
    with pytest.raises(UserError, match=re.escape(expected)):
        evaluate(make(world), truths, class_names=WAYMO_CLASSES)
