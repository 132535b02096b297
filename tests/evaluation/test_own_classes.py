"""Classes of one's own, from training through evaluation to evaluation from files and the viewer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from pcdet_poly.commands.main import main
from pcdet_poly.config.load import dump_config, load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.engine.detector import Detector
from pcdet_poly.engine.views import open_views
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import evaluate, read_detections
from pcdet_poly.structures import Detections, Frame
from tests.tiny import TINY, frame
from tests.tolerances import SIX_DIGITS

OWN = ("CAR", "TRUCK", "FORKLIFT")
THRESHOLDS = {"CAR": 0.7, "TRUCK": 0.6, "FORKLIFT": 0.5}


def rename(index: int, names: tuple[str, ...], segment: str) -> Frame:
    """The tiny frame with classes of one's own: cars, then what was a walker and a cyclist."""
    one = frame(index)
    label = np.array([0, 0, 0, 1, len(names) - 1])
    return replace(one, segment=segment, class_names=names, ground_truth=replace(one.ground_truth, label=label))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two stores of different classes and the run `runs/own`, trained on both."""
    folder = tmp_path_factory.mktemp("own")
    write_store(folder / "three", [rename(index, OWN, "three") for index in range(3)])
    write_store(folder / "two", [rename(index, ("FORKLIFT", "CAR"), "two") for index in range(2)])
    stores = [str(folder / "three"), str(folder / "two")]
    settings = TINY | {
        "data": TINY["data"] | {"classes": list(OWN), "train": stores, "val": stores},
        "evaluation": {
            "pictures": 1,
            "metrics": {"iou_thresholds": dict.fromkeys(OWN, 0.01), "breakdowns": ["OBJECT_TYPE", "RANGE", "VELOCITY"]},
        },
    }
    config = Config.model_validate(settings | {"train": TINY["train"] | {"epochs": 1, "evaluate_every": 0}})
    (folder / "own.yaml").write_text(dump_config(config))
    assert load_config(folder / "own.yaml") == config
    assert main(["train", str(folder / "own.yaml"), "--runs-folder", str(folder / "runs"), "--device", "cpu"]) == 0
    return folder


def test_a_run_of_own_classes_has_tables_under_their_names(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained / "runs/own"
    assert main(["test", str(run), "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert all(name in said.out for name in OWN)
    assert f"warning: data.val: TRUCK is no class of {trained / 'two'}: such objects" in " ".join(said.err.split())
    metrics = json.loads((run / "metrics.json").read_text())
    kinds = {name.split("_LEVEL")[0] for name in metrics["3D"] if name.startswith("OBJECT_TYPE")}
    assert kinds == {f"OBJECT_TYPE_TYPE_{name}" for name in OWN}
    objects = metrics["meta"]["objects"]
    # Three frames with 3 CAR, 1 TRUCK, 1 FORKLIFT, and two with 3 FORKLIFT and 2 CAR.
    assert [objects[f"OBJECT_TYPE_TYPE_{name}_LEVEL_2"] for name in OWN] == [13, 3, 9]
    assert metrics["meta"]["classes"] == list(OWN)


def test_evaluation_from_files_gives_the_same(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = trained / "runs/own", trained / "m.json"
    own = json.loads((run / "metrics.json").read_text())
    for words in ([run], [run, trained / "two", trained / "three"]):
        assert main(["evaluate", *map(str, words), "--output", str(out), "--workers", "1"]) == 0
        again = json.loads(out.read_text())
        assert (again["3D"], again["BEV"]) == (own["3D"], own["BEV"])
    said = capsys.readouterr().out
    assert "mean of CAR, TRUCK, FORKLIFT LEVEL_2" in said, said
    assert main(["submit", str(run), "--output", str(trained / "s.bin")]) == 2
    assert "class 'CAR': Waymo's metrics know VEHICLE" in capsys.readouterr().err


def test_detector_and_viewer_know_them(trained: Path) -> None:
    run = trained / "runs/own"
    assert Detector.load(run, device="cpu").class_names == OWN
    assert len(Detector.load(run, device="cpu")(frame(0).points[:, :5]).score) > 0
    source = open_views(run, [], checkpoint=None, min_score=0.0, device="cpu")
    assert source.load_view(0).class_names == OWN
    assert read_detections(run / "detections.parquet").class_names == OWN


def test_a_perfect_detector_of_own_classes_has_ap_1_and_its_threshold_counts() -> None:
    truth = rename(0, OWN, "a").ground_truth
    moved = truth.box.copy()
    moved[:, 2] += 0.35 * moved[:, 5]  # the overlap of all is .65 / 1.35 = .48
    cfg = MetricsConfig(iou_thresholds=THRESHOLDS | {"FORKLIFT": 0.4}, breakdowns=("OBJECT_TYPE",))
    for box, expected in ((truth.box, [1, 1, 1]), (moved, [0, 0, 1])):
        found = Detections(box, truth.label, np.full(5, 0.9, np.float32))
        table = evaluate([found], [truth], cfg, class_names=OWN)
        values = [table["3D"][f"OBJECT_TYPE_TYPE_{name}_LEVEL_2"]["ap"] for name in OWN]
        assert values == pytest.approx(expected, abs=SIX_DIGITS)  # the official sum of a perfect curve is 1.00000012


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"data": {"classes": ["CAR"]}}, "data.classes: CAR is none of VEHICLE, PEDESTRIAN, SIGN, CYCLIST"),
        ({"data": {"classes": ["Vehicle"]}}, "did you mean 'VEHICLE'?"),
        (
            {"data": {"classes": ["CAR", "TRUCK"]}, "evaluation": {"metrics": {"iou_thresholds": {"CAR": 0.7}}}},
            "data.classes: TRUCK is none of CAR",
        ),
        (
            {
                "data": {"classes": ["CAR"]},
                "evaluation": {"metrics": {"iou_thresholds": {"CAR": 0.7}, "breakdowns": ["ALL_BUT_SIGN"]}},
            },
            "ALL_BUT_SIGN is of Waymo's classes",
        ),
        (
            {"data": {"classes": ["CAR"]}, "evaluation": {"metrics": {"iou_thresholds": {"CAR": 0.7}, "let": {}}}},
            "let.iou_thresholds: none for CAR",
        ),
    ],
)
def test_what_cannot_be_measured_is_said_before_training(settings: dict, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected.replace("?", r"\?")):
        Config.model_validate(settings)


def test_waymos_classes_have_official_thresholds_beside_own_ones(tmp_path: Path) -> None:
    settings = {
        "data": {"classes": ["FORKLIFT", "PEDESTRIAN"]},
        "evaluation": {"metrics": {"iou_thresholds": {"FORKLIFT": 0.6}}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    metrics = load_config(tmp_path / "c.yaml").evaluation.metrics
    assert dict(zip(metrics.type_names, metrics.type_thresholds, strict=True)) == {"FORKLIFT": 0.6, "PEDESTRIAN": 0.5}
    lower = MetricsConfig(iou_thresholds={"VEHICLE": 0.5})  # a name of Waymo's alone changes no row
    assert (lower.type_names[0], lower.type_thresholds) == ("VEHICLE", (0.5, 0.5, 0.5, 0.5))
    with pytest.raises(UserError, match="command line: evaluation"):
        load_config(tmp_path / "c.yaml", ["evaluation.metrics.iou_thresholds={FORKLIFT: -1}"])
