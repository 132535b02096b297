"""Every command on the pages works as pasted: in a clone, in a new bash, with nobody's settings.

Not run are blocks that say *Needs ...* (Waymo's data, GPUs, the network, files of others) or *Takes ...* (more than
minutes) in a line of their own above them, and the example's page, which tests/test_own_detector_example.py walks. A
line that README.md has, too, is run there.
tests/documentation/test_words.py looks at the words of all commands, these too, in bash and in zsh.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.documentation.clone import Clone, rewrite
from tests.documentation.pages import PAGES, ROOT, name_page, read_blocks

pytestmark = pytest.mark.slow
ACTIVATE = ". .venv/bin/activate\n"
README = ROOT / "README.md"


def read_commands(page: Path) -> str:
    """Return what a reader pastes from a page, one block after the other."""
    return "\n".join(block.text for block in read_blocks(page, "bash") if block.mark is None)


def read_further_commands(page: Path) -> str:
    """Return the commands of a page that README.md does not have."""
    known = read_commands(README).splitlines()
    return "\n".join(line for line in read_commands(page).splitlines() if line not in known)


OTHERS = [page for page in PAGES if ROOT / "examples" not in page.parents and read_further_commands(page).strip()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def walked(clone: Clone) -> Path:
    """The clone's folder after every command of README.md."""
    printed = clone.run(rewrite(read_commands(README)))
    assert "-m pcdet_poly demo" in printed  # what make would have started
    return clone.folder


def test_most_blocks_are_run_and_the_readme_activates_the_environment() -> None:
    short = [page for page in PAGES if page.name != "results.md" and page.parent.name != "studies"]  # these take hours
    marks = [block.mark for page in short for block in read_blocks(page, "bash")]
    assert len(marks) > 2 * sum(mark is not None for mark in marks)
    assert ACTIVATE in read_commands(README)


def test_the_readmes_commands_make_what_it_says(walked: Path) -> None:
    made = (
        *("objects.arrow", "stores/validation/manifest.json", "metrics.json", "stores/mine/manifest.json"),
        *("runs/centerpoint_pillar_eps1/metrics.json", "runs/real_overfit/metrics.json"),
        *("detections/*cloud*.json", "detections/*1*.json", "sweeps/mini/report/report.html", "*.html"),
        "runs/centerpoint_pillar/*.onnx",
    )
    assert [pattern for pattern in made if not list(walked.glob(pattern))] == []


def test_metrics_have_official_names_and_numbers_in_range(walked: Path) -> None:
    metrics = json.loads((walked / "runs/centerpoint_pillar/metrics.json").read_text())
    for box_type in ("3D", "BEV"):
        for label in ("VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST"):
            for level in (1, 2):
                row = metrics[box_type][f"OBJECT_TYPE_TYPE_{label}_LEVEL_{level}"]
                assert 0 <= row["aph"] <= row["ap"] <= 1.001


def test_the_run_folder_is_complete(walked: Path) -> None:
    run = walked / "runs/centerpoint_pillar"
    for name in ("config.yaml", "environment.json", "log.jsonl", "metrics.json", "checkpoints", "detections.parquet"):
        assert (run / name).exists(), name
    picture, *_ = (run / "pictures").glob("*.png")
    assert picture.stat().st_size > 20_000
    steps = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert any("loss/heatmap" in step for step in steps)


def test_a_second_conversion_skips_whole_segments(walked: Path, clone: Clone) -> None:
    store = walked / "stores/training"
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.suffix != ".json"}
    assert before
    clone.run(f"{ACTIVATE}pcdet-poly preprocess records/training --output stores/training --workers 1")
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_readmes_python_works_as_pasted(walked: Path, clone: Clone) -> None:
    record, *_ = (walked / "records/training").glob("*.tfrecord")
    shutil.copy(record, walked / "segment-1.tfrecord")
    before = "import numpy as np\npoints = np.zeros((5, 4), np.float32)\n"
    code = before + "\n".join(block.text for block in read_blocks(README, "python"))
    (walked / "pasted.py").write_text(code)
    clone.run(f"{ACTIVATE}python pasted.py")


@pytest.mark.parametrize("page", OTHERS, ids=name_page)
def test_the_commands_of_a_page_work_as_pasted(page: Path, clone: Clone) -> None:
    clone.run(ACTIVATE + rewrite(read_further_commands(page)))
