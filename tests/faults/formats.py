"""Every format that we read: how a small sound file is made, and how all of it is read."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcdet_poly.array_files import load_npz
from pcdet_poly.config.load import dump_config, load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.train import TrainConfig
from pcdet_poly.data.bank.build_bank import build_object_bank
from pcdet_poly.data.bank.object_bank import ObjectBank
from pcdet_poly.data.convert.from_npz import read_npz_folder
from pcdet_poly.data.convert.point_clouds import read_cloud
from pcdet_poly.data.store.frame_store import Store, write_store
from pcdet_poly.engine import evaluation_folder, run, trackers
from pcdet_poly.engine.checkpoint import Checkpoint, config_values, load_checkpoint, save_checkpoint
from pcdet_poly.engine.run import read_log_file
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import read_detections, write_detections, write_labels, write_predictions
from pcdet_poly.evaluation.files.flat_arrays import flatten_set, read_flat_arrays
from pcdet_poly.evaluation.files.waymo_objects import read_label_file, read_prediction_file
from pcdet_poly.evaluation.metrics_file import read_metrics
from pcdet_poly.evaluation.tabulate import build_evaluation_set
from pcdet_poly.experiments.sweep.folder import SweepFolder, prepare_folder, read_description
from pcdet_poly.experiments.sweep.pairing import Pairing
from pcdet_poly.experiments.sweep.schema import list_trials, read_sweep
from pcdet_poly.files import write_json
from pcdet_poly.models.import_checkpoint.foreign_file import read_foreign_weights
from pcdet_poly.ops.compiler.disk_cache import _add_checksum, _read
from pcdet_poly.runtime.checksum import add_checksum
from pcdet_poly.runtime.model_file import KEY, FileDescription, open_session
from pcdet_poly.simulation.comparison.statistics import measure_real_frame
from pcdet_poly.structures import WAYMO_CLASSES, Detections
from pcdet_poly.waymo import read_frames
from pcdet_poly.waymo.v2.read import read_frames_v2
from pcdet_poly.waymo.v2.schema import SCHEMAS
from tests.data.records import write_segment_records
from tests.experiments.conftest import MODEL, SWEEP, train_here
from tests.experiments.conftest import frame as street
from tests.faults import clouds
from tests.faults.damage import Format
from tests.faults.data_sets import DATA_SETS, raise_error
from tests.faults.study_files import STUDY_FILES
from tests.tiny import TINY, frame
from tests.waymo.v2.segments_v2 import SEGMENT, write_made_up

_KERNEL = (("float64", 2), ("kernel", bytes(range(256)) * 8))  # types of arguments, and what stands for code
_ZIP = "each member's CRC-32, by ZIP"


def _make_records(folder: Path) -> list[Path]:
    return [write_segment_records(folder, "s", 3)]


def _find_record_ends(data: bytes) -> frozenset[int]:
    """Where a TFRecord file may be cut and be a whole file of fewer records: its format knows no number of records."""
    ends, position = {0}, 0
    while position < len(data):
        position += 16 + int.from_bytes(data[position : position + 8], "little")
        ends.add(position)
    return frozenset(ends - {0})


def _make_v2(folder: Path) -> list[Path]:
    write_made_up(folder)
    return [folder / component / f"{SEGMENT}.parquet" for component in SCHEMAS]


def _make_store(folder: Path) -> list[Path]:
    write_store(folder, [frame(number) for number in range(2)])
    return sorted(folder.iterdir())


def _read_store(folder: Path) -> Any:
    store = Store(folder)
    return store.manifest, store.frame_ids, list(store)


def _make_checkpoint(folder: Path) -> list[Path]:
    rng = torch.Generator().manual_seed(0)
    weights = {f"layer{i}.weight": torch.randn(8, 16, generator=rng) for i in range(3)}
    config = config_values(Config.model_validate(TINY))
    state = {"state": {0: {"exp_avg": torch.randn(8, 16, generator=rng)}}, "param_groups": [{"lr": 0.1}]}
    save_checkpoint(folder / "step_00000004.pt", Checkpoint(4, 2, config, weights, state, {}, score=0.5))
    return [folder / "step_00000004.pt"]


def _make_foreign_weights(folder: Path) -> list[Path]:
    rng = torch.Generator().manual_seed(0)
    torch.save({"model_state": {f"{i}.weight": torch.randn(8, 16, generator=rng) for i in range(3)}}, folder / "a.pth")
    return [folder / "a.pth"]


def _make_detections(folder: Path) -> list[Path]:
    write_detections(folder / "detections.parquet", *_detect(), WAYMO_CLASSES)
    return [folder / "detections.parquet"]


def _detect() -> tuple[list[str], list[Detections]]:
    frames = [frame(number) for number in range(3)]
    found = [
        Detections(one.ground_truth.box, one.ground_truth.label, np.linspace(0.9, 0.5, 5, dtype=np.float32))
        for one in frames
    ]
    return [one.frame_id for one in frames], found


def _make_bank(folder: Path) -> list[Path]:
    write_store(folder / "store", [frame(number) for number in range(2)])
    build_object_bank([folder / "store"], folder / "objects.arrow")
    return [folder / "objects.arrow"]


def _read_bank(folder: Path) -> Any:
    """Do what pasting does: choose objects by columns of all, then read some of those that were chosen."""
    bank = ObjectBank(folder / "objects.arrow")
    chosen = [bank.select(name, min_points=5) for name in bank.header.class_names]
    return bank.header, chosen, [bank[int(index[0])] for index in chosen if len(index)]


def _make_objects(folder: Path) -> list[Path]:
    names, found = _detect()
    write_predictions(folder / "predictions.bin", names, found, WAYMO_CLASSES)
    write_labels(folder / "labels.bin", names, [frame(number).ground_truth for number in range(3)], WAYMO_CLASSES)
    return [folder / "predictions.bin", folder / "labels.bin"]


def _make_flat_arrays(folder: Path) -> list[Path]:
    _, found = _detect()
    truth = [frame(number).ground_truth for number in range(3)]
    no_zone = [np.zeros(len(rows.box), bool) for rows in found]
    boxes = build_evaluation_set(found, truth, class_names=WAYMO_CLASSES, no_label_zone=no_zone, segments=["a"] * 3)
    np.savez_compressed(folder / "both.npz", **flatten_set(boxes))
    return [folder / "both.npz"]


def _make_npz_frame(folder: Path) -> list[Path]:
    one = frame(0)
    np.savez(
        folder / "0.npz",
        points=one.points[:60, :5],
        boxes=one.ground_truth.box,
        names=np.array([WAYMO_CLASSES[label] for label in one.ground_truth.label]),
        num_points=one.ground_truth.num_points,
        timestamp=np.int64(7),
    )
    return [folder / "0.npz"]


def _read_npz_frames(folder: Path) -> Any:
    return load_npz(folder / "0.npz"), list(read_npz_folder(folder, lambda num_bytes: None, raise_error))


def _make_records_of_starts(folder: Path) -> list[Path]:
    write_json(folder / "environment.json", {"starts": [{"python": "3.11", "commit": "abc"}]})
    write_json(folder / "tracker.json", {"tracker": "wandb", "project": "study", "id": "a1b2", "marks": {"train": 7}})
    write_json(folder / "metrics.json", {"meta": {"config_hash": "abc", "data": ["val"]}})
    return [folder / name for name in ("environment.json", "tracker.json", "metrics.json")]


def _read_records_of_starts(folder: Path) -> Any:
    """Read what a run takes from the records of its former starts, and of an evaluation in its way."""
    cfg = TrainConfig(tracker="wandb", tracker_project="study")
    starts = run._read_starts(folder / "environment.json")
    return starts, trackers._read_tracked_run(cfg, folder), evaluation_folder._read_identity(folder)


def _make_real_frame(folder: Path) -> list[Path]:
    frame(0).points[:200, :5].tofile(folder / "real.bin")
    return [folder / "real.bin"]


def _make_configs(folder: Path) -> list[Path]:
    (folder / "tiny.yaml").write_text(dump_config(Config.model_validate(TINY)))
    (folder / "child.yaml").write_text("base: tiny.yaml\ntrain: {epochs: 7, learning_rate: 1e-3}\n")
    return [folder / "child.yaml", folder / "tiny.yaml"]


def _make_sweep(folder: Path) -> list[Path]:
    study = {
        "baseline": "focal",
        "models": {"tiny": "tiny.yaml"},
        "arms": [{"name": "focal", "overrides": {"classification.epsilon": 0}}],
        "grid": {"classification.epsilon": [1, -1]},
        "seeds": [0, 1],
    }
    (folder / "study.yaml").write_text(json.dumps(study, indent=1))
    return [folder / "study.yaml"]


def _make_finished_sweep(folder: Path) -> list[Path]:
    model = MODEL | {"train": MODEL["train"] | {"epochs": 1, "log_every": 1}}
    write_store(folder / "train", [street("train", number) for number in range(4)])
    write_store(folder / "val", [street(f"val{s}", 0) for s in range(2)])
    data = MODEL["data"] | {"train": [str(folder / "train")], "val": [str(folder / "val")]}
    (folder / "tiny.yaml").write_text(json.dumps(model | {"data": data}))
    (folder / "study.yaml").write_text(json.dumps(SWEEP | {"seeds": [0], "grid": {}}))
    sweep = SweepFolder(folder / "sweep")
    read = read_sweep(folder / "study.yaml")
    trials = list_trials(read, folder)
    prepare_folder(sweep, read, trials)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for trial in trials:
            train_here(sweep, trial.name)
    run = sweep.run_path(trials[1].name)
    files = [run / name for name in ("metrics.json", "pairing.json", "log.jsonl", "config.yaml")]
    return [sweep.path / "sweep.json", sweep.end_path(trials[1].name), *files]


def _read_records(folder: Path) -> Any:
    """Read what the next round of a sweep, and the report, take from the files of trials."""
    sweep = SweepFolder(folder / "sweep")
    description = read_description(sweep)
    names = [trial.name for trial in description.trials]
    tables = [read_metrics(sweep.run_path(name) / "metrics.json") for name in names]
    entries = [(table.entries, table.intervals, step) for table, step in tables]
    return (
        description,
        entries,
        [sweep.read_end(name) for name in names],
        [Pairing.read(sweep.pairing_path(name)) for name in names],
    )


def _make_machine_code(folder: Path) -> list[Path]:
    (folder / "a.nbc").write_bytes(_add_checksum(pickle.dumps(_KERNEL)))
    return [folder / "a.nbc"]


def _read_machine_code(folder: Path) -> Any:
    found = _read(folder / "a.nbc", _KERNEL[0])
    if found is None:
        raise UserError(f"{folder}: compiled again")
    return found


def _read_logs(folder: Path) -> Any:
    sweep = SweepFolder(folder / "sweep")
    runs = [sweep.run_path(trial.name) for trial in read_description(sweep).trials]
    return [(read_log_file(run / "log.jsonl"), load_config(run / "config.yaml")) for run in runs]


def _make_onnx(folder: Path) -> list[Path]:
    import onnx
    from onnx import TensorProto, helper

    points = helper.make_tensor_value_info("points", TensorProto.FLOAT, ["N", 3])
    box = helper.make_tensor_value_info("box", TensorProto.FLOAT, ["N", 3])
    offset = helper.make_tensor("offset", TensorProto.FLOAT, [3], [0.5, 1.5, 2.5])
    graph = helper.make_graph([helper.make_node("Add", ["points", "offset"], ["box"])], "g", [points], [box], [offset])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    about = FileDescription(("VEHICLE",), ("x", "y", "z"), {}, {}, {}).write_json()
    helper.set_model_props(model, {KEY: about})
    onnx.save(model, folder / "detector.onnx")
    add_checksum(folder / "detector.onnx")
    return [folder / "detector.onnx"]


def _read_onnx(folder: Path) -> Any:
    session, about = open_session(folder / "detector.onnx", 1)
    return about, session.run(None, {"points": np.zeros((2, 3), np.float32)})


FORMATS = (
    Format("Waymo v1 records", "CRC-32C of each record", _make_records,
           lambda folder: list(read_frames(folder / "s.tfrecord")), _find_record_ends),
    Format("Waymo v2 Parquet", "CRC-32 of each page; none of the footer", _make_v2,
           lambda folder: list(read_frames_v2(folder, SEGMENT))),
    Format("frame store", "CRC-32 of the manifest, each directory and each member", _make_store, _read_store),
    Format("checkpoint", f"{_ZIP}; CRC-32C of the content", _make_checkpoint,
           lambda folder: load_checkpoint(folder / "step_00000004.pt")),
    Format("weights of others (.pth)", _ZIP, _make_foreign_weights,
           lambda folder: read_foreign_weights(folder / "a.pth")),
    Format("detections.parquet", "CRC-32C of each column", _make_detections,
           lambda folder: read_detections(folder / "detections.parquet")),
    Format("object bank", "CRC-32 of each object and of the columns", _make_bank, _read_bank),
    Format("metrics, trials, sweep (.json)", "CRC-32 of each file", lambda folder: [
           path for path in _make_finished_sweep(folder) if path.suffix != ".jsonl" and path.suffix != ".yaml"],
           _read_records),
    Format("log.jsonl, config.yaml of a run", "", lambda folder: [
           path for path in _make_finished_sweep(folder) if path.suffix in (".jsonl", ".yaml")], _read_logs),
    Format("evaluation's .npz", _ZIP, _make_flat_arrays, lambda folder: read_flat_arrays(folder / "both.npz")),
    Format("frames to import (.npz)", _ZIP, _make_npz_frame, _read_npz_frames),
    Format("environment.json, tracker.json of a run", "", _make_records_of_starts, _read_records_of_starts),
    Format("frames to compare with (.bin)", "", _make_real_frame,
           lambda folder: measure_real_frame(folder / "real.bin")),
    Format("kernels' machine code (.nbc)", "CRC-32 of the file", _make_machine_code, _read_machine_code),
    Format("detector in one file (.onnx)", "CRC-32 of the file", _make_onnx, _read_onnx),
    Format("Waymo Objects (.bin)", "", _make_objects, lambda folder: (
           read_prediction_file(folder / "predictions.bin"), read_label_file(folder / "labels.bin"))),
    Format("config (YAML)", "", _make_configs, lambda folder: load_config(folder / "child.yaml")),
    Format("sweep (YAML)", "", _make_sweep, lambda folder: read_sweep(folder / "study.yaml")),
    *(Format(f"cloud: {name}", _ZIP if name == "npz" else "", make, lambda folder: [
           read_cloud(path) for path in sorted(folder.iterdir())]) for name, make in clouds.MAKERS.items()),
    *DATA_SETS,
    *STUDY_FILES,
)  # fmt: skip
