"""Commands with names that a terminal, rich, matplotlib, a shell or printf would obey: they are shown, and work."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pcdet_poly
from pcdet_poly.commands.main import main
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.evaluation import write_detections, write_labels
from pcdet_poly.experiments.report.formats.answers_csv import Answer
from pcdet_poly.structures import WAYMO_CLASSES, Detections
from tests.data.records import write_segment_records
from tests.faults.running.small_studies import write_detector_study
from tests.tiny import TINY, frame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names with any bytes are Linux's")
HOSTILE = "-a\x1b[31m[bold]\u202e$HOME%d {x} \nerror: b" + os.fsdecode(b"\xff")
SEGMENT = "a\x1b[31m[bold][/x]\u202e$HOME%d {x} \nerror: b"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
PEERS = Path(__file__).parents[1] / "assets/peers"
STUDY = {"baseline": "a", "models": {"tiny": "tiny.yaml"}, "arms": [{"name": "a", "overrides": {}}], "seeds": [0]}
LONG = "n" * 300  # longer than any file system's names
# What the command writes is below out/, whose name is hostile, too.
COMMANDS = {
    "import-frames": "import-frames in/frames --output out/store",
    "check": "check in/store --html out/check.html",
    "build-bank": "build-bank in/store --output out/bank.arrow",
    "train": "train in/tiny.yaml --runs-folder out --device cpu",
    "test": "test in/runs/tiny --device cpu --output out",
    "detect": "detect in/runs/tiny in/cloud.npy --device cpu --output out --score 0",
    "view": "view in/store --html out/page.html --frame 0",
    "evaluate": "evaluate in/d.parquet in/labels.bin --output out/m.json --workers 1",
    "submit": "submit in/d.parquet --output out/predictions.bin",
    "preprocess": "preprocess in/records --output out/store",
    "paper": "paper --parts vehicles --studies in/studies --output out/paper",
    "answers": "answers in/report",  # of a study whose folder is the hostile one
    "config": "config show in/tiny.yaml",
    "config copy": "config copy in/tiny.yaml out/mine.yaml",
    "summary": "summary in/tiny.yaml",
    "reference": "reference in/pillarnext_schedule_A.npz",
}
# What a name that is too long ends at once, before anything is computed.
MORE_WRITERS = {
    "simulate": "simulate --segments 1 --frames 1 --output out",
    "demo": "demo --output out --data-only",
    "sweep": "sweep in/study.yaml --output out",
    "loss-lab": "loss-lab --output out",
    "digits": "digits --quick --output out",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a hostile name with a store of a hostile segment, a run on it, and files of all kinds."""
    folder = tmp_path_factory.mktemp("names") / HOSTILE
    frames = [replace(frame(number), segment=SEGMENT) for number in range(2)]
    write_store(folder / "store", frames)
    (folder / "frames").mkdir()
    labels = frames[0].ground_truth
    classes = np.array([WAYMO_CLASSES[label] for label in labels.label])
    np.savez(folder / "frames" / f"{HOSTILE}.npz", points=frames[0].points[:, :5], boxes=labels.box, names=classes)
    np.save(folder / "cloud.npy", frames[0].points[:, :5])
    ids, truths = [one.frame_id for one in frames], [one.ground_truth for one in frames]
    found = [Detections(t.box, t.label, np.ones(len(t.box), np.float32)) for t in truths]
    write_detections(folder / "d.parquet", ids, found, WAYMO_CLASSES)
    write_labels(folder / "labels.bin", ids, truths, WAYMO_CLASSES)
    # YAML cannot hold a name that is no UTF-8: the config names the store from here.
    os.symlink("store", folder / "link")
    data = TINY["data"] | {"train": ["link"], "val": ["link"]}
    train = TINY["train"] | {"epochs": 1}
    (folder / "tiny.yaml").write_text(json.dumps(TINY | {"data": data, "train": train}))
    (folder / "study.yaml").write_text(json.dumps(STUDY))
    write_segment_records(folder / "records", "s", 1, rows=16, columns=90)
    write_detector_study(folder / "studies")
    (folder / "report").mkdir()
    with open(folder / "report/answers.csv", "w", newline="") as file:
        numbers = ["1"] * 6
        csv.writer(file).writerows(
            [Answer._fields, [SEGMENT, SEGMENT, "yes", SEGMENT, "3", "contrast", SEGMENT, *numbers]]
        )
    shutil.copy(PEERS / "pillarnext_schedule_A.npz", folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", "tiny.yaml", "--runs-folder", "runs", "--device", "cpu"]) == 0
    finally:
        os.chdir(before)
    return folder


def call(command: str, place: Path, output: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    words = [re.sub(r"^in/", f"{place}/", re.sub(r"^out(?=/|$)", output, word)) for word in command.split()]
    capfd.readouterr()
    code = main(words)
    said = capfd.readouterr()
    return code, said.out + said.err


@pytest.mark.parametrize("name", COMMANDS)
def test_names_are_shown_and_not_obeyed(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    output = place / f"out {name}" / HOSTILE
    output.mkdir(parents=True)
    code, said = call(COMMANDS[name], place, str(output), capfd)
    assert (code, "no folder whose name is not UTF-8" in said) == ((2, True) if name == "train" else (0, False)), said
    assert OBEYED.search(said) is None, said
    assert not re.search("^error: b", said, re.MULTILINE), said
    assert any(output.iterdir()) == ("out" in COMMANDS[name] and code == 0)


@pytest.mark.parametrize("name", [name for name, command in (COMMANDS | MORE_WRITERS).items() if "out" in command])
def test_a_name_that_is_too_long_is_one_line(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    code, said = call((COMMANDS | MORE_WRITERS)[name], place, LONG, capfd)
    assert code == 2, said
    assert "name too long" in said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert "Traceback" not in said
    assert OBEYED.search(said) is None, said
    assert not Path(LONG[:255]).exists()


COLD = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from pcdet_poly.commands.main import main
print("\\n" + json.dumps({name: main(words) for name, words in json.loads(sys.argv[1]).items()}))
"""
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'


def test_without_a_home_in_a_read_only_package_and_with_few_descriptors(place: Path, tmp_path: Path) -> None:
    """One program that has imported nothing yet, as a service's user in a container runs it."""
    os.symlink(place, tmp_path / "in")
    words = {
        name: [
            re.sub(r"^in/", f"{tmp_path}/in/", re.sub(r"^out(?=/|$)", f"{tmp_path}/{name}", word))
            for word in command.split()
        ]
        for name, command in COMMANDS.items()
    }
    command = [sys.executable, "-c", COLD, json.dumps(words)]
    package = Path(pcdet_poly.__file__).parent
    mount = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(package)]
    if subprocess.run([*mount, "true"], capture_output=True).returncode == 0:
        command = mount + command
    environment = {"PATH": os.environ["PATH"], "HOME": "/dev/null", "PYTHONPATH": str(package.parent)}
    done = subprocess.run(
        command, cwd=place, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, errors="replace"
    )
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == dict.fromkeys(COMMANDS, 0), done.stderr[-3000:]
