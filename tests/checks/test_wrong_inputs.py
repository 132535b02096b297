"""Times, sources, clouds, trainings and targets that cannot be meant: what is said of each."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pcdet_poly.checks.timestamps import convert_to_us
from pcdet_poly.config.schema import Config
from pcdet_poly.data.check.check_store import check_store
from pcdet_poly.data.check.report import print_check, write_check_page
from pcdet_poly.data.convert.build_store import ConversionSummary
from pcdet_poly.data.convert.formats.class_names import ClassNames
from pcdet_poly.data.convert.formats.import_options import ImportOptions
from pcdet_poly.data.convert.from_npz import import_npz
from pcdet_poly.data.convert.point_clouds import read_cloud
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.learnable import check_something_to_learn
from pcdet_poly.data.load.sweeps import drop_before_gap
from pcdet_poly.data.store.frame_store import Store, write_store
from pcdet_poly.errors import UserError
from pcdet_poly.losses import gaussian_poly1_focal, poly1_cross_entropy, poly1_focal
from pcdet_poly.structures import Frame, GroundTruth
from tests.checks.tiny_segments import make_frame, replace_objects
from tests.tiny import TINY

TIMES: list[tuple[Any, Any, int]] = [  # value, unit, microseconds
    (1_553_735_853.462203, None, 1_553_735_853_462_203),
    (np.float64(1_553_735_853.562203), None, 1_553_735_853_562_203),
    (1_553_735_853_462, None, 1_553_735_853_462_000),
    (1_553_735_853_462_203, None, 1_553_735_853_462_203),
    (1_553_735_853_462_203_499, None, 1_553_735_853_462_203),
    (1_553_735_853_462_203_500, None, 1_553_735_853_462_204),
    (1_553_735_853, None, 1_553_735_853_000_000),
    (np.array(123_456), None, 123_456),  # whole and small: as ever
    (0.1, None, 100_000),
    (12.3, None, 12_300_000),
    (np.float32(12.3), None, 12_300_000),
    (100, "ms", 100_000),
    (7, "s", 7_000_000),
    (315_968_112_437_425_433, "ns", 315_968_112_437_425),
]


@pytest.mark.parametrize(("value", "unit", "microseconds"), TIMES)
def test_times_in_any_unit(value: Any, unit: Any, microseconds: int) -> None:
    assert convert_to_us(value, unit) == microseconds


NO_TIMES: list[tuple[Any, str]] = [
    (np.nan, "a finite number, at least 0"),
    (-1, "a finite number, at least 0"),
    (np.inf, "a finite number, at least 0"),
    (np.float32(1.5537358e9), "float32 keeps such times in steps of 128 s only"),
    (3.2e7, "neither seconds from a start nor a Unix time; say which it is: --timestamp-unit"),
    (np.array([1, 2]), "one number needed"),
    (np.array("noon"), "one number needed"),
]


@pytest.mark.parametrize(("value", "says"), NO_TIMES)
def test_times_that_cannot_be_told(value: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        convert_to_us(value)


def save_frames(folder: Path, count: int = 3, seed: int = 0, **arrays: Any) -> Path:
    """A folder of .npz frames; each of `arrays` is a function of the frame's number."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        frame = make_frame(i + seed)
        names = np.array([frame.class_names[label] for label in frame.ground_truth.label])
        given = {"points": frame.points[:, :5], "boxes": frame.ground_truth.box, "names": names}
        np.savez(folder / f"{i}.npz", **given, **{name: make(i) for name, make in arrays.items()})
    return folder


def run_import(folder: Path, store: Path, **options: Any) -> ConversionSummary:
    return import_npz(folder, store, **options)


def test_frames_at_10_hz_in_float_seconds_stay_apart(tmp_path: Path) -> None:
    save_frames(tmp_path / "drive", timestamp=lambda i: 1_553_735_853.462203 + 0.1 * i)
    run_import(tmp_path / "drive", tmp_path / "store")
    times = [1_553_735_853_462_203 + 100_000 * i for i in range(3)]
    assert Store(tmp_path / "store").frame_ids == tuple(f"drive/{time}" for time in times)


def test_frames_of_one_id_are_refused_or_left_out(tmp_path: Path) -> None:
    save_frames(tmp_path / "drive", timestamp=lambda i: 1_553_735_853 + i // 2)  # cut to seconds
    with pytest.raises(UserError, match=r"drive: frame 1 \(drive/1553735853000000\): two frames of this segment"):
        run_import(tmp_path / "drive", tmp_path / "store")
    summary = run_import(tmp_path / "drive", tmp_path / "store", on_error="skip")
    (entry,) = summary.manifest.segments
    assert entry.num_frames == 2
    assert "frame 1 (drive/1553735853000000)" in entry.skipped[0]


def test_a_frame_that_cannot_be_meant_is_left_out_and_named(tmp_path: Path) -> None:
    save_frames(tmp_path / "drive", pose=lambda i: np.zeros((4, 4)) if i == 1 else np.eye(4))
    with pytest.raises(UserError, match=r"1\.npz: a pose that is no rigid motion"):
        run_import(tmp_path / "drive", tmp_path / "store")
    (entry,) = run_import(tmp_path / "drive", tmp_path / "store", on_error="skip").manifest.segments
    assert (entry.num_frames, len(entry.skipped)) == (2, 1)
    assert "1.npz: a pose that is no rigid motion" in entry.skipped[0]


def test_counts_with_fractions_are_refused(tmp_path: Path) -> None:
    save_frames(tmp_path / "drive", num_points=lambda i: np.full(5, 30.0))
    run_import(tmp_path / "drive", tmp_path / "store")
    save_frames(tmp_path / "drive", num_points=lambda i: np.full(5, 30.5))
    with pytest.raises(UserError, match="num_points is float64 with fractions; whole numbers needed"):
        run_import(tmp_path / "drive", tmp_path / "store")


def test_a_timestamp_in_some_frames_is_refused(tmp_path: Path) -> None:
    save_frames(tmp_path / "drive", count=2)
    save_frames(tmp_path / "other", count=3, timestamp=lambda i: 7 * i)
    shutil.copy(tmp_path / "other/2.npz", tmp_path / "drive/2.npz")
    with pytest.raises(UserError, match=r"2\.npz: has a timestamp, as others have not"):
        run_import(tmp_path / "drive", tmp_path / "store")


def test_dropping_and_classes_of_ones_own(tmp_path: Path) -> None:
    save_frames(tmp_path / "drive", count=1)
    names = ClassNames(("CAR", "WALKER"), {"VEHICLE": "CAR", "PEDESTRIAN": "WALKER"}, frozenset({"CYCLIST"}))
    run_import(tmp_path / "drive", tmp_path / "store", options=ImportOptions(names))
    store = Store(tmp_path / "store")
    assert store.class_names == ("CAR", "WALKER")
    assert store[0].ground_truth.label.tolist() == [0, 0, 0, 1]
    with pytest.raises(UserError, match=r"made with (class_names|classes|dropped) = "):
        run_import(tmp_path / "drive", tmp_path / "store")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ClassNames(renamed={"car": "TRUCK"}), "--map car=TRUCK: no such class; the classes are VEHICLE"),
        (lambda: ClassNames(renamed={"a": "SIGN"}, dropped=frozenset("a")), "--drop leaves a out; give one of the two"),
        (lambda: ClassNames(("A", "A")), "each class needs a name of its own"),
    ],
)
def test_names_that_contradict_each_other(make: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        make()


def test_another_folder_of_one_name_replaces_nothing_silently(tmp_path: Path) -> None:
    one, two = save_frames(tmp_path / "a/drive", 2), save_frames(tmp_path / "b/drive", 3, seed=5)
    run_import(one, tmp_path / "store")
    with pytest.raises(
        UserError, match=rf"drive was converted from {one}, and {two} is other data of that name.*--replace"
    ):
        run_import(two, tmp_path / "store")
    assert len(Store(tmp_path / "store")) == 2
    run_import(two, tmp_path / "store", replace=True)
    assert len(Store(tmp_path / "store")) == 3


def test_two_sources_of_one_name_in_one_call(tmp_path: Path) -> None:
    save_frames(tmp_path / "drive")
    save_frames(tmp_path / "drive/drive")
    with pytest.raises(UserError, match="segments are named after their sources; rename one of them"):
        run_import(tmp_path / "drive", tmp_path / "store")


def test_changed_removed_renamed_and_moved_sources_are_told(tmp_path: Path) -> None:
    drives = tmp_path / "drives"
    save_frames(drives / "one", 2), save_frames(drives / "two", 2, seed=1)
    store = tmp_path / "store"
    assert run_import(drives, store).warnings == ()
    save_frames(drives / "one", 3)
    (line,) = run_import(drives, store).warnings
    assert line == f"{drives / 'one'}: changed since its 2 frames were converted; read again"
    (drives / "two").rename(tmp_path / "two")
    (line,) = run_import(drives, store).warnings
    assert line == f"{drives / 'two'}: gone; the store keeps its segment two, 2 frames"
    assert run_import(tmp_path / "two", store).num_kept == 1  # the same data elsewhere
    (tmp_path / "two").rename(drives / "three")
    with pytest.raises(UserError, match="three holds the very data of two, which is gone: renamed"):
        run_import(drives, store)
    run_import(drives, store, replace=True)
    assert [entry.segment for entry in Store(store).manifest.segments] == ["one", "three"]


def test_copies_are_told(tmp_path: Path) -> None:
    save_frames(tmp_path / "drives/one"), save_frames(tmp_path / "drives/two")
    (line,) = run_import(tmp_path / "drives", tmp_path / "store").warnings
    assert line == f"{tmp_path / 'drives/two'}: holds the very files of {tmp_path / 'drives/one'}"


def test_python_writes_through_the_same_checks(tmp_path: Path) -> None:
    frames = [make_frame(0), make_frame(1)]
    frames[1].points[3, 4] = np.nan
    with pytest.raises(UserError, match=r"frame 1 \(\S+\): 1 points are not finite, the first is point 3: elongation"):
        write_store(tmp_path / "store", frames, precision="exact")
    late = replace(make_frame(1), timestamp_us=make_frame(0).timestamp_us + 3_600_000_000)
    with pytest.warns(UserWarning, match="3600 s after the frame before it"):
        write_store(tmp_path / "store", [make_frame(0), late])


def test_a_gap_ends_the_sweeps() -> None:
    now, near, far = make_frame(20), make_frame(19), make_frame(9)
    assert drop_before_gap(now, [near, far, make_frame(8)]) == [near]
    assert drop_before_gap(now, [near, make_frame(18)]) != [near]


CLOUDS: dict[str, tuple[str, Any, dict[str, Any], str]] = {  # file, numbers, options, what is said
    "nuScenes read as KITTI": ("a.bin", 5, {}, "as ring numbers are: nuScenes\\? say --format nuscenes"),
    "nuScenes read as elongation": ("a.bin", 5, {"bin_columns": 5}, "say --format nuscenes"),
    "KITTI named nuScenes": ("a.bin", 4, {"format": "nuscenes"}, "holds no ring numbers|are not rows of 5"),
    "three columns": ("a.bin", 3, {}, "are not rows of 4 float32; it may be cut off, or of a format"),
    "six columns": ("a.npy", 6, {}, "name that with --format"),
    "an .npy named kitti": ("a.npy", 4, {"format": "kitti"}, "kitti clouds end in .bin; name another --format"),
    "a .bin named openpcdet": ("a.bin", 4, {"format": "openpcdet"}, "openpcdet clouds end in .npy"),
    "bytes above 255": ("a.bin", "bright", {"format": "nuscenes"}, "intensities are from 0 to 255 in this format"),
    "five columns of OpenPCDet": ("a.npy", 5, {"format": "openpcdet"}, r"numbers \(P, 4\) needed"),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_clouds_of_other_forms(name: str, tmp_path: Path) -> None:
    file, form, options, says = CLOUDS[name]
    rng = np.random.default_rng(0)
    columns = 5 if form == "bright" else form
    count = 404 if columns == 5 else 403  # 404 rows of 5 numbers are rows of 4, too
    rows = rng.uniform(-30, 30, (count, columns)).astype(np.float32)
    if columns == 5:
        rows[:, 3], rows[:, 4] = 300 if form == "bright" else 7, np.arange(count) % 32
    if file.endswith("npy"):
        np.save(tmp_path / file, rows)
    else:
        rows.tofile(tmp_path / file)
    with pytest.raises(UserError, match=says):
        read_cloud(tmp_path / file, **options)


def learnable(frames: list[Frame], folder: Path, **data: Any) -> None:
    write_store(folder, frames)
    config = Config.model_validate({**TINY, "data": {**TINY["data"], "train": [str(folder)], **data}})
    check_something_to_learn(FrameDataset([folder]), config)


NOTHING: dict[str, tuple[dict[str, Any] | None, dict[str, Any], str]] = {  # labels, settings, what is said
    "no labels": (None, {}, "they have no labels of VEHICLE, PEDESTRIAN, CYCLIST; a testing split"),
    "outside the grid": ({"far": True}, {}, r"all 10 labelled boxes lie outside the grid, around \(2"),
    "no counts": ({"num_points": 0}, {}, "hold no point: records without point counts"),
    "too few points": ({"num_points": 3}, {"min_points": 5}, "data.min_points = 5 points, the most is 3"),
    "another class": ({}, {"classes": ["SIGN"]}, "they have no labels of SIGN"),
}


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("name", NOTHING)
def test_nothing_to_learn(name: str, tmp_path: Path) -> None:
    labels, settings, says = NOTHING[name]
    frames = [make_frame(0), make_frame(1)]
    if labels is None:
        frames = [replace(frame, ground_truth=GroundTruth.empty()) for frame in frames]
    elif "num_points" in labels:
        frames = [replace_objects(frame, num_points=np.full(5, labels["num_points"])) for frame in frames]
    elif labels:
        for frame in frames:
            frame.ground_truth.box[:, 0] += 200
    with pytest.raises(UserError, match=says):
        learnable(frames, tmp_path / "store", **settings)


def test_something_to_learn(tmp_path: Path) -> None:
    learnable([make_frame(0)], tmp_path / "store")


TARGETS: dict[str, tuple[Any, Any, str]] = {  # shape of the logits, targets, what is said
    "above 1": ((2, 3), torch.full((2, 3), 1.5), "values from 1.5 to 1.5"),
    "below 0": ((2, 3), torch.full((2, 3), -0.1), r"values from -0\.1"),
    "NaN": ((2, 3), torch.full((2, 3), torch.nan), "values from nan"),
    "two": ((2, 3), torch.full((2, 3), 2), "values from 2 to 2"),
    "a row": ((2, 3), torch.ones(3), r"shape \(3,\) given, that of the logits, \(2, 3\), needed"),
    "a column": ((2, 3), torch.ones(2, 1), r"shape \(2, 1\) given"),
    "a number": ((2, 3), torch.tensor(1.0), r"shape \(\) given"),
    "a row of flags": ((2, 3), torch.ones(3, dtype=torch.bool), r"shape \(3,\) given"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_cannot_be_meant(name: str) -> None:
    shape, target, says = TARGETS[name]
    with pytest.raises(ValueError, match=says):
        poly1_focal(torch.zeros(shape), target, gamma=2.0, epsilon=-1.0)
    with pytest.raises(ValueError, match=says):
        gaussian_poly1_focal(torch.zeros(shape), target, epsilon=-1.0)


LABELS: dict[str, tuple[Any, str]] = {
    "beyond the classes": (torch.tensor([0, 4]), "class indices from 0 to 4 given, 0 to 3 needed"),
    "to ignore": (torch.tensor([0, -100]), "leave rows to ignore out"),
    "one label": (torch.tensor(1), r"torch.int64 \(\) given; class indices \(2,\)"),
    "flags": (torch.ones(2, dtype=torch.bool), "torch.bool"),
    "shares above 1": (torch.full((2, 4), 2.0), "values from 2 to 2"),
    "shares of one row": (torch.full((4,), 0.25), r"shape \(4,\) given"),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_cannot_be_meant(name: str) -> None:
    labels, says = LABELS[name]
    with pytest.raises(ValueError, match=says):
        poly1_cross_entropy(torch.zeros(2, 4), labels, epsilon=1.0)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_check_prints_histograms_and_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    frames = [make_frame(i) for i in range(5)]
    late = replace(make_frame(5), timestamp_us=make_frame(5).timestamp_us + 7_200_000_000, segment="<b>")
    write_store(tmp_path / "store", [*frames, late, replace(late, timestamp_us=late.timestamp_us + 9_000_000)])
    checks = check_store(tmp_path / "store")
    print_check(checks, Console())
    write_check_page(checks, tmp_path / "check.html", "a <store>")
    said, page = capsys.readouterr().out, (tmp_path / "check.html").read_text()
    assert "time between frames, s\n  0.09 to 0.11  ###" in said
    assert "points were counted in 35 boxes: 35 hold some; 0 of 35 labelled with 5 points or more hold none" in said
    assert "warning: " in said
    assert "9 s after the frame before it" in said
    assert "9 s after the frame before it" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
