"""A working folder with one of everything that commands read, right and wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pcdet_poly.config.load import dump_config
from pcdet_poly.config.schema import Config
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.engine.checkpoint import Checkpoint, config_values, save_checkpoint
from pcdet_poly.engine.run import start_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.evaluation import write_detections, write_labels
from pcdet_poly.structures import WAYMO_CLASSES, Detections
from tests.tiny import TINY, frame

CPU = torch.device("cpu")


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder. Commands that fail must leave it as it is."""
    folder = tmp_path_factory.mktemp("world")
    for name in ("empty", "clouds", "frames", "runs/no_checkpoint", "runs/damaged/checkpoints"):
        (folder / name).mkdir(parents=True)
    frames = [frame(number) for number in range(3)]
    write_store(folder / "store", frames)
    data = TINY["data"] | {"train": [str(folder / "store")], "val": [str(folder / "store")]}
    config = Config.model_validate(TINY | {"data": data})
    _write_configs(folder, config)
    _write_runs(folder, config)
    _write_boxes(folder, [one.ground_truth for one in frames], [one.frame_id for one in frames])
    np.save(folder / "clouds/a.npy", frames[0].points[:, :5])
    np.savez(folder / "frames/0.npz", boxes=np.zeros((1, 7)))  # no points
    (folder / "junk.bin").write_bytes(b"\xff\x00junk")
    (folder / "junk.tfrecord").write_bytes(b"not a record")
    (folder / "junk.npz").write_bytes(b"PK but no archive")
    (folder / "junk.pth").write_bytes(b"no tensors")
    return folder


def _write_configs(folder: Path, config: Config) -> None:
    (folder / "tiny.yaml").write_text(dump_config(config))
    (folder / "list.yaml").write_text("- a\n- b\n")
    (folder / "torn.yaml").write_text("train: {epochs: 3\n")
    (folder / "loop.yaml").write_text("base: loop.yaml\n")
    (folder / "typo.yaml").write_text("train:\n  epochz: 3\n")
    study = {
        "baseline": "focal",
        "models": {"tiny": "tiny.yaml"},
        "arms": [{"name": "focal", "overrides": {"classification.epsilon": 0}}],
        "seeds": [0],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    (folder / "study_typo.yaml").write_text(yaml.safe_dump(study | {"seedz": [0]}))


def _write_runs(folder: Path, config: Config) -> None:
    weights = build_seeded_recipe(config, CPU).model.state_dict()
    run = start_run(folder / "runs/tiny", config, CPU, resume=False)
    save_checkpoint(run.checkpoint_path(4), Checkpoint(4, 2, config_values(config), weights, {}, {}))
    for name in ("no_checkpoint", "damaged"):
        (folder / "runs" / name / "config.yaml").write_text(dump_config(config))
    (folder / "runs/damaged/checkpoints/step_00000004.pt").write_bytes(b"cut off")


def _write_boxes(folder: Path, truths: list, names: list[str]) -> None:
    found = [Detections(t.box, t.label, np.linspace(0.9, 0.5, len(t.box), dtype=np.float32)) for t in truths]
    write_detections(folder / "detections.parquet", names, found, WAYMO_CLASSES)
    write_detections(folder / "others.parquet", [f"other/{name}" for name in names], found, WAYMO_CLASSES)
    write_labels(folder / "labels.bin", names, truths, WAYMO_CLASSES)
    (folder / "not_boxes.json").write_text(json.dumps({"a": 1}))
