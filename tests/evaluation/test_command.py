"""The table's forms, and `python -m pcdet_poly.evaluation`."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.commands.main import main
from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import (
    ApTable,
    Evaluator,
    bootstrap,
    evaluate_set,
    to_markdown,
    write_detections,
    write_labels,
)
from pcdet_poly.evaluation.files.flat_arrays import flatten_set
from pcdet_poly.evaluation.table_text import build_caption
from pcdet_poly.evaluation.waymo_op.comparison import run_waymo_op
from pcdet_poly.protos.metrics import Objects, Submission
from pcdet_poly.structures import WAYMO_CLASSES, Detections, GroundTruth
from tests.evaluation.random_sets import build_random_set

ROOT = Path(__file__).resolve().parent.parent.parent
VEHICLE = "OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1"


@pytest.fixture(scope="module")
def table() -> ApTable:
    return evaluate_set(build_random_set(0), MetricsConfig(breakdowns=("OBJECT_TYPE",), let={}))


@pytest.fixture(scope="module")
def sure() -> ApTable:
    evaluator = Evaluator(MetricsConfig(breakdowns=("OBJECT_TYPE",)))
    evaluator.add(build_random_set(0))
    return bootstrap(evaluator, resamples=10)


def test_json_round_trip(table: ApTable, sure: ApTable) -> None:
    for one in (table, sure):
        again = ApTable.from_json(json.loads(json.dumps(one.to_json())))
        assert again == one


def test_json_has_the_official_names(table: ApTable) -> None:
    value = table.to_json()
    assert set(value) == {"3D", "BEV", "LET-3D", "LET-BEV", "meta"}
    assert set(value["3D"][VEHICLE]) == {"ap", "aph"}
    assert set(value["LET-3D"][VEHICLE]) == {"ap", "aph", "apl"}
    assert value["meta"].keys() == {"frames", "predictions", "ground_truths", "within", "seconds", "objects"}


def test_difference(table: ApTable) -> None:
    other = evaluate_set(build_random_set(1), MetricsConfig(breakdowns=("OBJECT_TYPE",), let={}))
    change = table.subtract(other)
    assert change["BEV"][VEHICLE]["ap"] == table["BEV"][VEHICLE]["ap"] - other["BEV"][VEHICLE]["ap"]
    assert {value for _, _, _, value in table.subtract(table).iterate_rows()} == {0.0}
    with pytest.raises(UserError, match="different rows"):
        table.subtract(evaluate_set(build_random_set(1)))


def test_csv(table: ApTable, sure: ApTable) -> None:
    rows = list(csv.DictReader(table.to_csv().splitlines()))
    assert len(rows) == len(list(table.iterate_rows()))
    assert float(rows[0]["value"]) == table["3D"][VEHICLE]["ap"]
    assert rows[0]["low"] == ""
    limits = next(csv.DictReader(sure.to_csv().splitlines()))
    assert float(limits["low"]) <= float(limits["value"]) <= float(limits["high"])


def test_markdown(table: ApTable, sure: ApTable) -> None:
    text = to_markdown(table)
    assert "| breakdown | 3D AP | 3D APH | BEV AP | BEV APH | LET-3D AP |" in text
    assert f"| VEHICLE_LEVEL_1 | {100 * table['3D'][VEHICLE]['ap']:.2f} |" in text
    assert "ALL_NS_LEVEL_2" in text
    assert "95 % intervals from 10 resamplings of 3 segments" in to_markdown(sure)


def test_all_ns_is_the_mean_without_signs(table: ApTable) -> None:
    rows = [table["3D"][f"OBJECT_TYPE_TYPE_{kind}_LEVEL_2"]["aph"] for kind in ("VEHICLE", "PEDESTRIAN", "CYCLIST")]
    assert table.compute_mean("3D", 2)["aph"] == pytest.approx(np.mean(rows))


def test_the_caption_says_what_was_left_out(table: ApTable) -> None:
    limited = ApTable(table.entries, replace(table.meta, within=(-10, -20, 30, 20)))
    assert "only boxes with centre in x -10..30, y -20..20 m, on both sides" in build_caption(limited)
    assert "only" not in build_caption(table)


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    path = tmp_path / "both.npz"
    np.savez(path, **flatten_set(build_random_set(0)))
    return path


def run(*arguments: str | Path) -> int:
    return main(["evaluate", *map(str, arguments), "--workers", "1"])


def test_one_npz(arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "metrics.json"
    assert run(arrays, "--output", output, "--let", "--plots", tmp_path / "plots") == 0
    value = json.loads(output.read_text())
    assert value["3D"] == evaluate_set(build_random_set(0)).to_json()["3D"]
    assert value["meta"]["seconds"] > 0
    assert "VEHICLE_LEVEL_1" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {"precision_recall_3D.png", "ranges_LET-BEV.png"} <= names
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in (tmp_path / "plots").iterdir())


@pytest.mark.parametrize(("name", "start"), [("t.csv", "part,breakdown"), ("t.md", "| breakdown |")])
def test_other_outputs(arrays: Path, tmp_path: Path, name: str, start: str) -> None:
    assert run(arrays, "--output", tmp_path / name, "--breakdowns", "SIZE") == 0
    assert (tmp_path / name).read_text().startswith(start)


def frames(num: int) -> tuple[list[str], list[Detections], list[GroundTruth]]:
    boxes = build_random_set(2, frames=num)
    ids = [f"segment{i % 3}/{i}" for i in range(num)]
    predictions, objects = boxes.predictions, boxes.objects
    found, truth = [], []
    for i in range(num):
        p, o = predictions[predictions.frame == i], objects[objects.frame == i]
        found.append(Detections(p.box, p.type.astype(np.int64) - 1, p.score))
        truth.append(
            GroundTruth(
                box=o.box,
                label=o.type.astype(np.int64) - 1,
                level=o.level.astype(np.int64),
                num_points=np.full(len(o), 9),
                track=np.array(["x"] * len(o), "<U1"),
                speed=o.speed,
            )
        )
    return ids, found, truth


def test_detections_against_labels_and_against_another_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    ids, found, truth = frames(6)
    write_detections(tmp_path / "detections.parquet", ids, found, WAYMO_CLASSES)
    write_detections(tmp_path / "fewer.parquet", ids, [rows[::2] for rows in found], WAYMO_CLASSES)
    write_labels(tmp_path / "labels.bin", ids, truth, WAYMO_CLASSES)
    code = run(tmp_path, tmp_path / "labels.bin", "--bootstrap", "20", "--against", tmp_path / "fewer.parquet")
    out = capsys.readouterr().out
    assert code == 0
    assert out.count("resamplings of 3 segments") == 2
    assert "minus" in out


def test_labels_from_a_store(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from pcdet_poly.data.store.frame_store import write_store
    from pcdet_poly.structures import Frame

    ids, found, truth = frames(3)
    columns = ("x", "y", "z", "intensity", "elongation")
    write_store(
        tmp_path / "store",
        (
            Frame(np.zeros((2, 5), np.float32), rows, np.eye(4), int(name.split("/")[1]), name.split("/")[0], columns)
            for name, rows in zip(ids, truth, strict=True)
        ),
    )
    write_detections(tmp_path / "d.parquet", ids, found, WAYMO_CLASSES)
    assert run(tmp_path / "d.parquet", tmp_path / "store") == 0
    assert "3 frames" in capsys.readouterr().out


def test_a_config_chooses(arrays: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("evaluation: {within: [-20, -20, 20, 20], metrics: {levels: [2], box_types: [AA_2D]}}\n")
    assert run(arrays, "--config", config, "--output", tmp_path / "m.json") == 0
    value = json.loads((tmp_path / "m.json").read_text())
    assert set(value) == {"AA_2D", "meta"}
    assert value["meta"]["within"] == [-20, -20, 20, 20]
    assert VEHICLE not in value["AA_2D"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.npz"], "nothing.npz: No such file"),
        (["x.bin"], "labels are missing"),
        (["x.bin", "y.bin"], "y.bin: no such file"),
        (["both.npz", "--against", "both.npz"], "--against"),
    ],
)
def test_mistakes_are_one_line_and_code_2(
    arrays: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(arrays.parent)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_no_common_frame_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    ids, found, truth = frames(3)
    write_detections(tmp_path / "d.parquet", [f"other{name}" for name in ids], found, WAYMO_CLASSES)
    write_labels(tmp_path / "l.bin", ids, truth, WAYMO_CLASSES)
    assert run(tmp_path / "d.parquet", tmp_path / "l.bin") == 2
    assert "no frame has labels: predictions are of 'othersegment0/0'" in capsys.readouterr().err


def test_waymo_s_package_missing_is_said() -> None:
    with pytest.raises(UserError, match=r"No module named .*requirements-official\.txt"):
        run_waymo_op(build_random_set(0), MetricsConfig(), sys.executable)


def test_write_submission(tmp_path: Path) -> None:
    ids, found, _ = frames(2)
    write_detections(tmp_path / "detections.parquet", ids, found, WAYMO_CLASSES)
    command = [sys.executable, "data_tools/write_submission.py", str(tmp_path), "--output", str(tmp_path / "s.bin")]
    done = subprocess.run([*command, "--max-boxes", "3"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "6 boxes of 2 frames" in done.stdout
    assert len(Objects.FromString((tmp_path / "s.bin").read_bytes()).objects) == 6
    subprocess.run([*command, "--account", "a@b.c", "--method", "m"], cwd=ROOT, check=True)
    assert Submission.FromString((tmp_path / "s.bin").read_bytes()).unique_method_name == "m"
    half = subprocess.run([*command, "--account", "a@b.c"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert half.returncode == 2
    assert "unique_method_name" in half.stderr
