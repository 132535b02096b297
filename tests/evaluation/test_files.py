"""Waymo's .bin files, our detections files, arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.config.sections.evaluation import SubmissionConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import read_detections, write_detections, write_labels, write_predictions, write_submission
from pcdet_poly.evaluation.box_tables import EvaluationSet
from pcdet_poly.evaluation.files.any_file import read_labels, read_predictions
from pcdet_poly.evaluation.files.flat_arrays import build_set_of_arrays, flatten_set, read_flat_arrays
from pcdet_poly.evaluation.files.message_chunks import read_message_chunks
from pcdet_poly.evaluation.files.waymo_objects import read_label_file, read_prediction_file
from pcdet_poly.protos.metrics import Object, Objects, Submission
from pcdet_poly.structures import WAYMO_CLASSES, Detections, GroundTruth
from tests.evaluation.random_sets import build_random_set

FRAMES = ("segment_a/100", "segment_a/200", "b/1700000000000000")
CLASSES = ("PEDESTRIAN", "VEHICLE", "CYCLIST")


@pytest.fixture
def detections() -> list[Detections]:
    rng = np.random.default_rng(0)
    return [
        Detections(rng.normal(3, 1, (n, 7)).astype(np.float32), rng.integers(0, 3, n), rng.random(n).astype(np.float32))
        for n in (5, 0, 2)
    ]


@pytest.fixture
def labels() -> list[GroundTruth]:
    def frame(num: int) -> GroundTruth:
        rng = np.random.default_rng(num)
        return GroundTruth(
            box=rng.normal(3, 1, (num, 7)).astype(np.float32),
            label=rng.integers(0, 4, num),
            level=np.arange(num) % 3,
            num_points=np.arange(num) * 3,
            track=np.array([f"t{i}" for i in range(num)], "<U4"),
            speed=np.where(np.arange(num)[:, None] % 2, np.nan, rng.normal(0, 5, (num, 2))).astype(np.float32),
        )

    return [frame(6), frame(0), frame(3)]


@pytest.mark.parametrize("with_velocity", [False, True])
def test_detections_file_round_trip(tmp_path: Path, detections: list[Detections], with_velocity: bool) -> None:
    path = tmp_path / "detections.parquet"
    if with_velocity:
        rng = np.random.default_rng(1)
        detections = [replace(d, velocity=rng.normal(size=(len(d), 2)).astype(np.float32)) for d in detections]
    write_detections(path, FRAMES, detections, CLASSES)
    file = read_detections(path)
    assert (file.frame_ids, file.class_names) == (FRAMES, CLASSES)
    for ours, theirs in zip(detections, file.detections, strict=True):
        assert list(ours.columns()) == list(theirs.columns())
        for name, column in ours.columns().items():
            np.testing.assert_array_equal(column, getattr(theirs, name))
            assert column.dtype == getattr(theirs, name).dtype


def test_empty_detections_file(tmp_path: Path) -> None:
    write_detections(tmp_path / "x.parquet", (), (), CLASSES)
    assert read_detections(tmp_path / "x.parquet").detections == ()


def test_a_file_that_is_no_detections_file_is_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(UserError, match=r"text\.parquet: not a readable Parquet file"):
        read_detections(tmp_path / "text.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"other\.parquet: .*expected columns"):
        read_detections(tmp_path / "other.parquet")
    with pytest.raises(UserError, match="3 frame ids but 0"):
        write_detections(tmp_path / "x.parquet", FRAMES, (), CLASSES)
    assert not (tmp_path / "x.parquet").exists()


def test_predictions_for_waymo_round_trip(tmp_path: Path, detections: list[Detections]) -> None:
    path = tmp_path / "predictions.bin"
    assert write_predictions(path, FRAMES, detections, CLASSES) == 7
    read = read_prediction_file(path)
    assert read.frames == (FRAMES[0], FRAMES[2])  # the format has no frames without objects
    types = np.array([2, 1, 4])
    for k, frame in ((0, 0), (2, 1)):
        order = np.argsort(-detections[k].score, kind="stable")
        rows = read.rows[read.rows.frame == frame]
        np.testing.assert_array_equal(rows.box, detections[k].box[order])
        np.testing.assert_array_equal(rows.score, detections[k].score[order])
        np.testing.assert_array_equal(rows.type, types[detections[k].label[order]])


def test_predictions_have_the_official_fields(tmp_path: Path, detections: list[Detections]) -> None:
    write_predictions(tmp_path / "p.bin", FRAMES, detections, CLASSES)
    first = Objects.FromString((tmp_path / "p.bin").read_bytes()).objects[0]
    assert (first.context_name, first.frame_timestamp_micros) == ("segment_a", 100)
    assert first.object.box.HasField("center_z")
    assert first.object.box.HasField("heading")
    # Field numbers on the wire: Object {object 1, score 2, context_name 4, frame_timestamp_micros 5}.
    tags = [first.SerializeToString()[0] >> 3, *(f.number for f, _ in first.ListFields())]
    assert tags == [1, 1, 2, 4, 5]


def test_the_best_boxes_up_to_the_cap_and_above_the_floor(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    many = Detections(
        rng.normal(0, 30, (300, 7)).astype(np.float32), np.zeros(300, np.int64), rng.random(300).astype(np.float32)
    )
    path = tmp_path / "p.bin"
    assert write_predictions(path, FRAMES[:1], [many], CLASSES) == 200
    assert read_prediction_file(path).rows.score.min() == np.sort(many.score)[100]
    assert (
        write_predictions(path, FRAMES[:1], [many], CLASSES, SubmissionConfig(min_score=0.8))
        == (many.score >= 0.8).sum()
    )
    assert write_predictions(path, FRAMES[:1], [many], CLASSES, SubmissionConfig(max_boxes=3)) == 3


def test_submission(tmp_path: Path, detections: list[Detections]) -> None:
    cfg = SubmissionConfig(account_name="a@b.c", unique_method_name="m", authors=("A", "B"), latency_s=0.05)
    assert write_submission(tmp_path / "s.bin", FRAMES, detections, CLASSES, cfg) == 7
    submission = Submission.FromString((tmp_path / "s.bin").read_bytes())
    assert (submission.task, submission.sensor_type, list(submission.object_types)) == (2, 1, [2, 1, 4])
    assert list(submission.authors) == ["A", "B"]
    assert submission.latency_second == pytest.approx(0.05)
    assert len(submission.inference_results.objects) == 7
    with pytest.raises(UserError, match="account_name"):
        write_submission(tmp_path / "t.bin", FRAMES, detections, CLASSES, SubmissionConfig())


def test_labels_for_waymo_round_trip(tmp_path: Path, labels: list[GroundTruth]) -> None:
    path = tmp_path / "labels.bin"
    write_labels(path, FRAMES, labels, WAYMO_CLASSES)
    read = read_label_file(path)
    rows = read.rows[read.rows.frame == read.frames.index(FRAMES[0])]
    truth = labels[0][labels[0].num_points > 0]
    np.testing.assert_array_equal(rows.box, truth.box)
    np.testing.assert_array_equal(rows.type, truth.label + 1)
    np.testing.assert_array_equal(rows.level, [1, 2, 1, 1, 2])  # annotated 1, 2; else 9 and 12 points: 1; 15 points: 2
    np.testing.assert_allclose(rows.speed, np.nan_to_num(truth.speed))


@pytest.mark.parametrize("frame_id", ["no timestamp", "segment/", "/100", "segment/1e5"])
def test_frame_ids_waymo_cannot_take(tmp_path: Path, frame_id: str, detections: list[Detections]) -> None:
    with pytest.raises(UserError, match="segment/timestamp"):
        write_predictions(tmp_path / "p.bin", [frame_id], detections[:1], CLASSES)
    assert not list(tmp_path.iterdir())


def objects_file(path: Path, num: int) -> bytes:
    message = Objects()
    for i in range(num):
        added = message.objects.add(context_name=f"segment {i % 3}", frame_timestamp_micros=i % 7, score=0.5)
        added.object.type = 1 + i % 4
        added.object.box.length = added.object.box.width = added.object.box.height = 1 + i
    path.write_bytes(message.SerializeToString())
    return path.read_bytes()


def test_large_files_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = objects_file(tmp_path / "p.bin", 107)
    whole = read_prediction_file(tmp_path / "p.bin")
    monkeypatch.setattr("pcdet_poly.evaluation.files.message_chunks._CHUNK_MESSAGES", 10)
    chunks = list(read_message_chunks(tmp_path / "p.bin"))
    assert [first for first, _ in chunks] == list(range(0, 107, 10))
    assert b"".join(chunk for _, chunk in chunks) == data
    pieces = read_prediction_file(tmp_path / "p.bin")
    assert pieces.frames == whole.frames
    for name, column in whole.rows.columns().items():
        np.testing.assert_array_equal(column, getattr(pieces.rows, name))


def test_no_label_zone_objects_behind_the_objects_are_left_out(tmp_path: Path) -> None:
    data = objects_file(tmp_path / "p.bin", 3)
    zone = Objects(no_label_zone_objects=[Object(context_name="x")]).SerializeToString()
    (tmp_path / "p.bin").write_bytes(data + zone)
    assert len(read_prediction_file(tmp_path / "p.bin").rows) == 3


@pytest.mark.parametrize("cut", [1, 2, 30, -1, -5])
def test_a_truncated_file_names_the_object(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "p.bin"
    data = objects_file(path, 9)
    path.write_bytes(data[:cut])
    with pytest.raises(UserError, match=r"p\.bin: object \d+ .*cut off"):
        read_prediction_file(path)


def test_files_that_are_none_of_waymo_s(tmp_path: Path) -> None:
    (tmp_path / "zip.bin").write_bytes(b"PK\x03\x04 whatever")
    with pytest.raises(UserError, match=r"zip\.bin: not a Waymo Objects file"):
        read_prediction_file(tmp_path / "zip.bin")
    (tmp_path / "odd.bin").write_bytes(b"\x0a\x03\xff\xff\xff")
    with pytest.raises(UserError, match=r"odd\.bin: an object from number 0 on does not parse"):
        read_prediction_file(tmp_path / "odd.bin")
    (tmp_path / "empty.bin").write_bytes(b"")
    assert len(read_prediction_file(tmp_path / "empty.bin").rows) == 0
    for read, name in ((read_predictions, "x.txt"), (read_labels, "y.txt")):
        with pytest.raises(UserError, match="no such file"):
            read(tmp_path / name)
        (tmp_path / name).touch()
        with pytest.raises(UserError, match="are read from"):
            read(tmp_path / name)


def test_bad_objects_are_named(tmp_path: Path) -> None:
    message = Objects.FromString(objects_file(tmp_path / "p.bin", 4))
    message.objects[2].object.box.center_x = float("nan")
    (tmp_path / "nan.bin").write_bytes(message.SerializeToString())
    with pytest.raises(UserError, match=r"nan\.bin: box 2 is \(nan"):
        read_prediction_file(tmp_path / "nan.bin")
    message.objects[2].object.box.center_x = 0
    message.objects[3].object.type = 9
    (tmp_path / "type.bin").write_bytes(message.SerializeToString())
    with pytest.raises(UserError, match=r"type\.bin: box 3 has type 9"):
        read_label_file(tmp_path / "type.bin")


def test_frames_of_either_side_count() -> None:
    """Predictions without labels are false alarms, labels without predictions are missed."""
    boxes = build_random_set(0)
    arrays = flatten_set(boxes)
    arrays["pd_frame"] = arrays["pd_frame"] + 2
    joined = build_set_of_arrays(arrays, "test")
    assert joined.num_frames == 6
    assert set(joined.predictions.frame) == {2, 3, 4, 5}


def test_frames_are_joined_by_their_names(
    tmp_path: Path, detections: list[Detections], labels: list[GroundTruth]
) -> None:
    write_detections(tmp_path / "d.parquet", FRAMES, detections, CLASSES)
    write_labels(tmp_path / "l.bin", FRAMES[::-1], labels[::-1], WAYMO_CLASSES)
    boxes = EvaluationSet.join(read_predictions(tmp_path / "d.parquet"), read_labels(tmp_path / "l.bin"))
    assert boxes.frames == tuple(sorted(FRAMES))
    assert boxes.segments == ("b", "segment_a", "segment_a")
    assert boxes.predictions.frame.tolist() == [0, 0, 1, 1, 1, 1, 1]
    assert set(boxes.objects.frame[boxes.objects.type > 0].tolist()) == {0, 1}


def test_arrays(tmp_path: Path) -> None:
    boxes = build_random_set(1)
    arrays = flatten_set(boxes)
    np.savez(tmp_path / "both.npz", **arrays)
    again = read_flat_arrays(tmp_path / "both.npz")
    for side in ("predictions", "objects"):
        for name, column in getattr(boxes, side).columns().items():
            np.testing.assert_array_equal(column, getattr(getattr(again, side), name), err_msg=name)
    with pytest.raises(UserError, match="no array 'gt_box'"):
        build_set_of_arrays({name: column for name, column in arrays.items() if name != "gt_box"}, "x")
    with pytest.raises(UserError, match="pd_score has 3 rows"):
        build_set_of_arrays(arrays | {"pd_score": arrays["pd_score"][:3]}, "x")
    with pytest.raises(UserError, match="x: pd_type: box 0 has type 7"):
        build_set_of_arrays(arrays | {"pd_type": arrays["pd_type"] * 0 + 7}, "x")
