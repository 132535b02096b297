"""The whole line as its user walks it: simulate, convert, train, evaluate, all by command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A network of a few thousand weights on a coarse grid: this test is about the joints, not about AP.
TINY = [
    "grid.lower=[-51.2,-51.2,-3]",
    "grid.upper=[51.2,51.2,5]",
    "grid.cell=[1.6,1.6,8]",
    "model.encoder_channels=[8,8]",
    "model.backbone={layers: [1,1], strides: [1,2], channels: [8,8], up_strides: [1,2], up_channels: [8,8]}",
    "model.head_width=8",
    "train.epochs=1",
    "train.batch_size=2",
    "train.log_every=1",
    "evaluation.within=[-51.2,-51.2,51.2,51.2]",
    "evaluation.pictures=1",
    "data.workers=0",
]


def run(*command: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
    result = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == exit_code, result.stderr[-3000:] + result.stdout[-1000:]
    return result


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every step has been run once."""
    folder = tmp_path_factory.mktemp("line")
    simulate = ["data_tools/simulate_waymo.py", str(folder / "records"), "--segments", "2", "--frames", "2"]
    run(*simulate, "--interval-s", "1.0", "--seed", "5", "--workers", "1")
    run("data_tools/preprocess_waymo.py", str(folder / "records"), "--output", str(folder / "store"), "--workers", "1")
    run("data_tools/check_frames.py", str(folder / "store"))
    store = f"[{folder / 'store'}]"
    data = [f"data.train={store}", f"data.val={store}"]
    run("train.py", "configs/quick.yaml", *data, *TINY, "--runs-folder", str(folder / "runs"), "--name", "tiny")
    run("test.py", str(folder / "runs/tiny"))
    return folder


def test_metrics_have_official_names_and_numbers_in_range(walked: Path) -> None:
    metrics = json.loads((walked / "runs/tiny/metrics.json").read_text())
    for box_type in ("3D", "BEV"):
        names = metrics[box_type]
        for label in ("VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST"):
            for level in (1, 2):
                row = names[f"OBJECT_TYPE_TYPE_{label}_LEVEL_{level}"]
                assert 0 <= row["aph"] <= row["ap"] <= 1.001


def test_the_run_folder_is_complete(walked: Path) -> None:
    run_folder = walked / "runs/tiny"
    for name in ("config.yaml", "environment.json", "log.jsonl", "metrics.json", "checkpoints", "pictures"):
        assert (run_folder / name).exists(), name
    (picture,) = (run_folder / "pictures").glob("*.png")
    assert picture.stat().st_size > 20_000
    steps = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    assert any("loss/heatmap" in step for step in steps)


def test_a_second_conversion_skips_whole_segments(walked: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (walked / "store").rglob("*") if path.suffix != ".json"}
    run("data_tools/preprocess_waymo.py", str(walked / "records"), "--output", str(walked / "store"), "--workers", "1")
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["train.py", "configs/quick.yaml", "train.epoch=3"], "did you mean 'epochs'"),
        (["train.py", "configs/quik.yaml"], "no such config file"),
        (["train.py", "configs/centerpoint_pillar.yaml"], "data.train"),
        (["train.py", "configs/quick.yaml", "data.train=[nowhere]"], "nowhere"),
        (["test.py", "runs/nowhere"], "nowhere"),
        (["data_tools/preprocess_waymo.py", "nowhere", "--output", "{tmp}/out"], "nowhere"),
        (["data_tools/check_frames.py", "nowhere"], "nowhere"),
        (["data_tools/import_frames.py", "nowhere", "--output", "{tmp}/out"], "nowhere"),
    ],
)
def test_mistakes_end_with_one_line_and_exit_code_2(command: list[str], says: str, tmp_path: Path) -> None:
    filled = [word.replace("{tmp}", str(tmp_path)) for word in command]
    if filled[0] == "train.py":
        filled += ["--runs-folder", str(tmp_path / "runs")]
    result = run(*filled, exit_code=2)
    lines = result.stderr.strip().splitlines()
    assert says in lines[-1], result.stderr
    assert len(lines) == 1, result.stderr
    assert list(tmp_path.rglob("*")) == []
