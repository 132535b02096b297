"""Files of whole detectors: the boxes of `pcdet-poly detect`, by numpy and onnxruntime alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pcdet_poly.commands.main import main
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.engine.checkpoint import Checkpoint, config_values, save_checkpoint
from pcdet_poly.engine.detector import Detector as TrainedDetector
from pcdet_poly.engine.run import start_run
from pcdet_poly.errors import UserError
from pcdet_poly.models.decoding.suppress import select_detections
from pcdet_poly.models.export.compare_onnx import match_boxes
from pcdet_poly.runtime import Detector, FoundBoxes
from pcdet_poly.runtime.model_file import FileDescription, parse_description
from pcdet_poly.runtime.suppress import Rules, select_boxes
from pcdet_poly.structures import Detections
from tests.models.test_export import SPARSE, WHOLE, set_statistics

LIBRARIES = ("torch", "numba", "pydantic", "yaml", "scipy", "pyarrow", "rich", "google", "isal", "matplotlib")
# One sparse stage and one group cost seconds less to export; two of each are tested in plain operations.
ONE_STAGE = {"channels": [8], "strides": [2], "blocks": [1], "out_channels": 8}
FILES = {
    "anchors": WHOLE["anchors"],
    "sparse": WHOLE["sparse"] | {"model": SPARSE | {"sparse": ONE_STAGE, "groups": [["VEHICLE", "PEDESTRIAN"]]}},
}
ONLY_THE_RUNTIME = f"""
import sys
for name in {LIBRARIES}:
    sys.modules[name] = None  # as if it were not installed
import pcdet_poly.runtime
assert "onnxruntime" not in sys.modules
from pcdet_poly.commands.main import main
sys.exit(main(["detect-onnx", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module", params=FILES)
def run_and_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of a run, and the file that the command wrote of it."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    cfg = Config.model_validate(FILES[request.param])
    run = start_run(folder, cfg, torch.device("cpu"), resume=False)
    weights = set_statistics(cfg).model.state_dict()
    save_checkpoint(run.checkpoint_path(1), Checkpoint(1, 1, config_values(cfg), weights, {}, {}))
    assert main(["export", str(folder), "--onnx", "--whole"]) == 0
    return folder, folder / "detector.onnx"


def draw_cloud(num_points: int, seed: int = 0) -> np.ndarray:
    """Points in and around the grids, raw intensities."""
    rng = np.random.default_rng(seed)
    low, high = (-11, -9, -3, 0, 0), (11, 9, 5, 4, 1)
    return rng.uniform(low, high, (num_points, 5)).astype(np.float32)


def test_boxes_are_those_of_detect(run_and_file: tuple[Path, Path]) -> None:
    folder, file = run_and_file
    trained, detector = TrainedDetector.load(folder, device="cpu"), Detector(file, num_threads=1)
    assert detector.class_names == trained.class_names
    broken = draw_cloud(3000, 2)
    broken[::50, 1], broken[::70, 3] = np.nan, np.inf
    with pytest.warns(UserWarning, match="not finite"):
        pairs = [(trained(cloud), detector.detect(cloud)) for cloud in (draw_cloud(4000), draw_cloud(1), broken)]
    for wanted, found in pairs:
        assert len(found) >= 10
        theirs = FoundBoxes(wanted.box, wanted.label, wanted.score)
        # Networks differ by rounding, 1e-6 of a map. A box in fifty may fall on the other side of a limit.
        for one, other in ((theirs, found), (found, theirs)):
            assert match_boxes(one, other, metres=1e-3, score=1e-5).mean() > 0.98
        if wanted.velocity is not None:
            assert found.velocity is not None
            # m/s: a map is good to 1e-6 of its range, some tens.
            assert np.abs(found.velocity[:5] - wanted.velocity[:5]).max() < 1e-4


def test_nothing_else_is_needed(run_and_file: tuple[Path, Path], tmp_path: Path) -> None:
    _, file = run_and_file
    np.save(tmp_path / "cloud.npy", draw_cloud(500))
    command = [sys.executable, "-c", ONLY_THE_RUNTIME, str(file), "cloud.npy", "--output", "out", "--min-score", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cloud.npy: 500 points, " in done.stdout
    written = json.loads((tmp_path / "out" / "cloud.npy.json").read_text())
    found = Detector(file).detect(draw_cloud(500))
    assert [box["score"] for box in written["boxes"]] == found.score.tolist()
    assert written["made_by"]["run"] == "run"


def test_other_files_are_refused_in_one_line(tmp_path: Path, run_and_file: tuple[Path, Path]) -> None:
    import onnx

    _, file = run_and_file
    (tmp_path / "text.onnx").write_text("no network")
    bare = onnx.load(file)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    for name, words in {
        "none.onnx": "no such file",
        "text.onnx": "not an ONNX file",
        "bare.onnx": "no whole detector",
    }.items():
        with pytest.raises(UserError, match=words) as error:
            Detector(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"shape \(4, 2\) given"):
        Detector(file).detect(np.zeros((4, 2)))


def test_a_damaged_file_is_refused(tmp_path: Path, run_and_file: tuple[Path, Path]) -> None:
    """Any byte, among them those of weights, which no reader of ONNX could tell from others."""
    import onnx

    _, file = run_and_file
    onnx.checker.check_model(onnx.load(file))  # the checksum is an entry of the metadata to others
    data, damaged = file.read_bytes(), tmp_path / "damaged.onnx"
    rng = np.random.default_rng(0)
    changed = [*rng.integers(0, len(data), 20), len(data) - 1, len(data) - 9, len(data) - 30]
    for place in changed:
        damaged.write_bytes(data[:place] + bytes([data[place] ^ 0x21]) + data[place + 1 :])
        with pytest.raises(UserError, match=r"damaged"):
            Detector(damaged)
    for length in (len(data) - 1, len(data) - 30):
        damaged.write_bytes(data[:length])
        with pytest.raises(UserError, match=r"damaged or cut|not an ONNX file"):
            Detector(damaged)


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"format": 2}, "written by a later version"), ({"grid": None, "classes": 3}, "damaged"), (None, "damaged")],
)
def test_descriptions_that_cannot_be_read(changed: dict | None, words: str) -> None:
    text = FileDescription(("A",), ("x", "y", "z"), {}, {}, {}).write_json()
    assert parse_description(text, "file").classes == ("A",)
    wrong = "{" if changed is None else json.dumps(json.loads(text) | changed)
    with pytest.raises(UserError, match=words):
        parse_description(wrong, "file")


RULES = {
    "per class": {"nms_iou": (0.7, 0.3, 0.05)},
    "one number": {"nms_iou": 0.2, "score_rule": "above", "score": 0.5},
    "class agnostic": {"nms": "class_agnostic", "nms_iou": 0.1, "nms_top_k": 400, "max_detections": 60},
    "circle": {"nms": "circle", "circle_radius_m": (0.5, 2.0, 1.0)},
    "one radius": {"nms": "circle", "circle_radius_m": 1.5, "limits": "per_class", "max_detections": 20},
    "none": {"nms": "none", "max_detections": 30},
    "limits": {"limits": "per_class", "nms_top_k": 100, "centre_limits": (-5, -5, -1, 5, 9, 1)},
}


@pytest.mark.parametrize("name", RULES)
def test_suppression_is_that_of_detect(name: str) -> None:
    """Equal to the bit: both take the same steps in float64, and differ in the last bit of sines alone."""
    rng = np.random.default_rng(len(name))
    box = rng.uniform([-9, -9, -2, 0.5, 0.5, 1, -9], [9, 9, 2, 5, 3, 2, 9], (600, 7)).astype(np.float32)
    box[::3, 6] = np.float32(np.pi / 2) * rng.integers(-4, 5, 200)  # along the axes
    box[100:140] = box[200:240]  # the same box twice
    box[::90, 3] = 0
    box[7, 0] = np.nan
    score = (rng.integers(0, 40, 600) / 40).astype(np.float32)  # with ties
    label = rng.integers(0, 3, 600)
    cfg = DecodeConfig.model_validate(RULES[name])
    given = Detections(*map(torch.from_numpy, (box, label, score)))
    wanted = select_detections(given, given.score, cfg)
    found = select_boxes(FoundBoxes(box, label, score), score, Rules.from_settings(cfg.model_dump(mode="json")))
    assert 10 < len(wanted) < 600
    for ours, theirs in ((found.box, wanted.box), (found.label, wanted.label), (found.score, wanted.score)):
        np.testing.assert_array_equal(ours, theirs.numpy())
