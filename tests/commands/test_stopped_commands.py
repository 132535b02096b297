"""Every command that takes long ends in one line when it is stopped, wherever that is, and leaves nothing half done."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.commands.main import dispatch
from pcdet_poly.config.load import dump_config
from pcdet_poly.config.schema import Config
from pcdet_poly.data.store.frame_store import write_store
from tests.interruptions import stop_at_line
from tests.tiny import TINY, frame

NUM_STOPS = max(int(os.environ.get("PCDET_POLY_FAULTS", "20")) // 20, 1)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WORDS = {
    "train": ["train", "tiny.yaml", "--runs-folder", "out", "--resume", "--device", "cpu"],
    "test": ["test", "runs/tiny", "--output", "out", "--device", "cpu"],
    "detect": ["detect", "runs/tiny", "cloud.npy", "--output", "out", "--device", "cpu"],
    "check": ["check", "store"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and a run on it."""
    place = tmp_path_factory.mktemp("stopped")
    np.save(place / "cloud.npy", frame(9).points[:, :5])
    write_store(place / "store", [frame(number) for number in range(3)])
    data = TINY["data"] | {"train": [str(place / "store")], "val": [str(place / "store")]}
    train = TINY["train"] | {"epochs": 1}
    (place / "tiny.yaml").write_text(dump_config(Config.model_validate(TINY | {"data": data, "train": train})))
    dispatch(["train", str(place / "tiny.yaml"), "--runs-folder", str(place / "runs"), "--device", "cpu"])
    return place


def list_leftovers(folder: Path) -> Sequence[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*"))


@pytest.mark.parametrize("command", WORDS)
def test_stopped_at_random_lines(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    rng = random.Random(command)
    words = WORDS[command]
    dispatch(words)  # imports what it needs, whose lines are not counted
    shutil.rmtree("out", ignore_errors=True)
    num_lines = stop_at_line(lambda: dispatch(words), -1).num_lines
    for i in range(NUM_STOPS):
        shutil.rmtree("out", ignore_errors=True)
        ending = stop_at_line(lambda: dispatch(words), rng.randint(1, num_lines), SIGNALS[i % 3])
        if not ending.was_stopped:
            continue  # waiting for threads takes more or fewer lines: the last ones may not be reached
        assert ending.code == 128 + SIGNALS[i % 3], ending
        assert ending.said.splitlines()[-1].startswith(("interrupted: ", "stopped by SIG")), ending
        assert ending.complaints == [], ending
        assert list_leftovers(folder) == [], ending
    dispatch(words)
