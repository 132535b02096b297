"""What cannot or may not be meant in frames: the input, what is said of it, whether it stops. One row a case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.checks.findings import ALLOWABLE
from pcdet_poly.checks.frame import find_frame_faults
from pcdet_poly.checks.points import find_copied_points
from pcdet_poly.data.check.check_store import check_store
from pcdet_poly.data.convert.from_npz import read_npz_folder
from pcdet_poly.data.store.checked_frames import SegmentError
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.errors import UserError
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.structures import Frame
from pcdet_poly.waymo import decode_frame, encode_scan
from tests.checks.tiny_segments import START_US, check, make_frame, replace_objects
from tests.waymo.scans import rigid

Spoil = Callable[[Frame], Frame]


def points(column: int, value: float, rows: slice | int = slice(None)) -> Spoil:
    def spoil(frame: Frame) -> Frame:
        frame.points[rows, column] = value
        return frame

    return spoil


def scaled_points(column: int | slice, factor: float, offset: float = 0.0) -> Spoil:
    def spoil(frame: Frame) -> Frame:
        frame.points[:, column] = frame.points[:, column] * factor + offset
        return frame

    return spoil


def box(column: int | slice, value: float, row: int | slice = 1) -> Spoil:
    def spoil(frame: Frame) -> Frame:
        frame.ground_truth.box[row, column] = value
        return frame

    return spoil


def all_boxes(column: int | slice, factor: float, offset: float = 0.0) -> Spoil:
    def spoil(frame: Frame) -> Frame:
        frame.ground_truth.box[:, column] = frame.ground_truth.box[:, column] * factor + offset
        return frame

    return spoil


def objects(**columns: object) -> Spoil:
    return lambda frame: replace_objects(frame, **{name: np.array(value) for name, value in columns.items()})


def pose(matrix: np.ndarray) -> Spoil:
    return lambda frame: replace(frame, world_from_vehicle=matrix)


def swap_axes(frame: Frame) -> Frame:
    """As a camera sees it: x right, y down, z forward, and 30 m of road ahead."""
    frame.points[:, :3] = frame.points[:, [1, 2, 0]] * (-1, -1, 3)
    return frame


def turn_boxes(frame: Frame) -> Frame:
    """As in a frame whose y points forward and x to the right."""
    frame.ground_truth.box[:, [0, 1]] = frame.ground_truth.box[:, [1, 0]] * (-1, 1)
    return frame


def fill_boxes(frame: Frame) -> Frame:
    """Points near the ends of each box, so that a turned box loses them."""
    box = np.repeat(frame.ground_truth.box, 30, axis=0)
    ahead = np.linspace(-0.49, 0.49, len(box)) * box[:, 3]
    points = frame.points[-len(box) :]
    points[:, :3] = box[:, :3]
    points[:, :2] += np.column_stack([np.cos(box[:, 6]), np.sin(box[:, 6])]) * ahead[:, None]
    return frame


def lower_boxes(frame: Frame) -> Frame:
    frame.ground_truth.box[:, 2] -= frame.ground_truth.box[:, 5] / 2
    return frame


def exchange_sides(frame: Frame) -> Frame:
    frame.ground_truth.box[:, [3, 4]] = frame.ground_truth.box[:, [4, 3]]
    return frame


def shear() -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 1] = 0.1
    return matrix


MOVED = rigid(0.1, 0.2, 2.0, 300.0, -4000.0, 20.0)
# name -> the fault in one frame, what is said, whether it is an error
CASES: dict[str, tuple[Spoil, str, bool]] = {
    "a coordinate that is NaN": (points(0, np.nan, 7), "1 points are not finite, the first is point 7: x = nan", True),
    "an infinite coordinate": (points(2, np.inf, 9), "1 points are not finite, the first is point 9: z = inf", True),
    "an intensity that is NaN": (points(3, np.nan, 3), "first is point 3: intensity = nan", True),
    "an elongation that is NaN": (points(4, np.nan, 4), "first is point 4: elongation = nan", True),
    "both infinities": (lambda f: points(0, -np.inf, 1)(points(0, np.inf, 0)(f)), "2 points are not finite", True),
    "points in UTM": (scaled_points(0, 1, 412_345), "half of the points are farther than 412,", True),
    "points in millimetres": (scaled_points(slice(0, 3), 1000), "centimetres or millimetres", True),
    "points in kilometres": (scaled_points(slice(0, 3), 1e-3), "all points lie within 0.0119", True),
    "points of a camera": (swap_axes, "is z up?", True),
    "intensity from 0 to 255": (scaled_points(3, 255), "an intensity above 3", False),
    "negative intensity": (points(3, -1.0), "an intensity is -1: negative?", False),
    "rings for elongation": (
        lambda f: points(4, 31, slice(0, 100))(f),
        "elongations are whole numbers up to 31: ring numbers",
        False,
    ),
    "times for elongation": (points(4, 1e5 + 0.5), "where Waymo's are from 0 to 1.5", False),
    "no points": (lambda f: replace(f, points=f.points[:0]), "no points in it", False),
    "a box that is NaN": (box(0, np.nan), "1 boxes are not finite", True),
    "a box without length": (box(3, 0.0), "box 1: 0, 2, 1.6: a size that is not in (0, 100] m: length", True),
    "a negative height": (box(5, -1.0), "must be positive", True),
    "sizes in centimetres": (all_boxes(slice(3, 6), 100), "box 0: 450, 200, 160", True),
    "centimetres are named": (all_boxes(slice(3, 6), 100), "centimetres? sizes are metres", True),
    "sizes in millimetres": (all_boxes(slice(3, 6), 1000), "millimetres? sizes are metres", True),
    "sizes in kilometres": (all_boxes(slice(3, 6), 1e-3), "is smaller than 5 cm all around: metres?", False),
    "a heading in degrees": (box(6, -90.0), "box 1: -90: a heading beyond two turns: degrees?", True),
    "a heading of one and a half turns": (box(6, 9.0), "box 1: heading 9 is beyond a full turn", False),
    "boxes in UTM": (all_boxes(1, 1, 5_331_000), "(UTM) or millimetres? boxes are in metres", True),
    "boxes in millimetres": (all_boxes(slice(0, 3), 1000), "a centre farther than 1000 m", True),
    "a box given twice": (box(slice(None), 1.0, slice(1, 3)), "1 boxes are there twice", False),
    "a label beyond the classes": (objects(label=[0, 4, 0, 1, 3]), "a label outside its 4 classes", True),
    "a negative label": (objects(label=[0, -1, 0, 1, 3]), "a label outside its 4 classes", True),
    "a level of 3": (objects(level=[1, 1, 3, 1, 1]), "a difficulty level of 3", True),
    "points not counted": (objects(num_points=[-1] * 5), "a negative number of points, -1: not counted?", True),
    "more points than there are": (objects(num_points=[9, 9, 9, 9, 451]), "labelled with 451 points, and the f", False),
    "an infinite speed": (objects(speed=np.full((5, 2), np.inf, np.float32)), "a speed of inf m/s", True),
    "one track twice": (objects(track=["a", "b", "a", "c", ""]), "track a is there 2 times in one frame", False),
    "a pose that is NaN": (pose(np.full((4, 4), np.nan)), "no rigid motion: a number is not finite", True),
    "a pose of zeros": (pose(np.zeros((4, 4))), "its last row is [0.0, 0.0, 0.0, 0.0]", True),
    "a transposed pose": (pose(MOVED.T.copy()), "; transposed?", True),
    "a pose that scales": (pose(np.diag([1.01, 1.01, 1.01, 1])), "so it scales or shears", True),
    "a pose that shears": (pose(shear()), "so it scales or shears", True),
    "a pose that mirrors": (pose(np.diag([1.0, -1, 1, 1])), "it mirrors", True),
    "a negative time": (lambda f: replace(f, timestamp_us=-5), "a timestamp of -5 us", True),
}


@pytest.mark.parametrize("name", CASES)
def test_one_frame(name: str) -> None:
    spoil, says, is_error = CASES[name]
    assert list(find_frame_faults(make_frame(0))) == []
    found = list(find_frame_faults(spoil(make_frame(0))))
    assert [finding for finding in found if says in finding.text and finding.is_error == is_error], found
    assert any(finding.is_error for finding in found) == is_error


def at(number: int, **changes: object) -> list[Frame]:
    """Four frames of which one is changed."""
    frames = [make_frame(i) for i in range(4)]
    frames[number] = replace(frames[number], **changes)
    return frames


def spaced(interval_us: int) -> list[Frame]:
    return [replace(make_frame(i), timestamp_us=START_US + interval_us * i) for i in range(4)]


# name -> frames in a row, what is said, how many pass, whether it is an error
ROWS: dict[str, tuple[list[Frame], str, int, bool]] = {
    "two of one time": (at(2, timestamp_us=START_US), "frame 2 (tiny/1553735853462203): two frames of this", 3, True),
    "backwards": (at(2, timestamp_us=START_US + 5), "is before that of the frame before it", 3, True),
    "all of one time": (spaced(0), "cut to whole seconds?", 1, True),
    "a gap of an hour": (at(3, timestamp_us=START_US + 3_600_000_000), "3599.8 s after the frame before it", 4, False),
    "times in milliseconds": (spaced(100), "100 us after the frame before it: another unit?", 4, False),
    "a jump": (at(3, world_from_vehicle=rigid(0, 0, 0, 500, 0, 0)), "the vehicle went 498.0 m in 0.1 s", 4, False),
    "one cloud for all": (
        [replace(make_frame(i), points=make_frame(0).points) for i in range(4)],
        "its points are those of the frame before it: copied? (3 times",
        4,
        False,
    ),
    "points there twice": (
        [replace(make_frame(i), points=np.tile(make_frame(i).points, (2, 1))) for i in range(4)],
        "450 of 900 points have the place of another: joined twice?",
        4,
        False,
    ),
    "poses inverted": (
        [replace(make_frame(i), world_from_vehicle=np.linalg.inv(make_frame(i).world_from_vehicle)) for i in range(20)],
        "in 19 of 19 steps the vehicle moves backwards or sideways: poses are world from vehicle",
        20,
        False,
    ),
    "poses in millimetres": (at(1, world_from_vehicle=rigid(0, 0, 0, 1000, 0, 0)), "went 1,000.0 m", 4, False),
}


@pytest.mark.parametrize("name", ROWS)
def test_frames_in_a_row(name: str) -> None:
    frames, says, num_passed, is_error = ROWS[name]
    passed, errors, warnings = check(frames)
    assert passed == num_passed
    assert bool(errors) == is_error
    assert says in (errors or warnings)[0]


@pytest.mark.parametrize("step_m", [0.0, 2.0**-4], ids=["as measured", "on a lattice"])
@pytest.mark.parametrize("num_points", [100, 1000, 30000])
def test_copied_points_are_said_from_a_fifth_on(num_points: int, step_m: float) -> None:
    """Places of a lattice have low bits of zeros: their hashes meet more often, and nothing that is said changes."""
    cloud = np.random.default_rng(0).permutation(np.mgrid[:32, :32, :32].reshape(3, -1).T)[:num_points]
    cloud = cloud * np.float32(step_m) if step_m else cloud + np.random.default_rng(1).uniform(0, 0.5, cloud.shape)
    for num_copies, says in ((0, False), (num_points // 5 - 1, False), (num_points // 5, True)):
        with_copies = cloud.astype(np.float32)
        with_copies[:num_copies] = with_copies[-1 : -1 - num_copies : -1]
        finding = find_copied_points(with_copies)
        assert (finding is not None) == says
        assert finding is None or finding.text.startswith(f"{num_copies} of {num_points} points")


# name -> a fault in all labels of a drive, what is said
SHARES: dict[str, tuple[Spoil, str]] = {
    "y forward": (turn_boxes, "hold none: are boxes and points in one frame"),
    "z of another origin": (all_boxes(2, 1, 5.0), "hold none: are boxes and points in one frame"),
    "the world's boxes": (all_boxes(0, 1, 300.0), "hold none: are boxes and points in one frame"),
    "counted, in no box": (
        lambda f: objects(num_points=[0] * 5)(all_boxes(2, 1, 5.0)(f)),
        "boxes within 50 m hold no point",
    ),
    "no counts": (objects(num_points=[0] * 5), "are labelled with 0: counts are missing"),
    "y to the right": (all_boxes(1, -1), "hold none: are boxes and points in one frame"),
    "headings clockwise": (lambda f: all_boxes(6, -1)(fill_boxes(f)), "headings turn the other way: clockwise?"),
    "headings from +y": (lambda f: all_boxes(6, 1, -np.pi / 2)(fill_boxes(f)), "headings from +y, or width before"),
    "z of the bottom": (lower_boxes, "where they are raised by half their height: is z that of the bottom?"),
}


@pytest.mark.parametrize("name", SHARES)
def test_shares_over_a_segment(name: str) -> None:
    spoil, says = SHARES[name]
    passed, errors, warnings = check(spoil(make_frame(i)) for i in range(31))  # every tenth is counted: 20 boxes
    assert (passed, errors) == (31, [])
    assert [line for line in warnings if says in line], warnings
    assert check(make_frame(i) for i in range(31)) == (31, [], [])


# name -> a fault in all labels of a long drive, the kind of error, what is said
SURE: dict[str, tuple[Spoil, str, str]] = {
    "boxes in the sky": (all_boxes(2, 1, 5.0), "points-in-boxes", "75 of 75 boxes labelled with 5 points or more hold"),
    "boxes in the sky, counted": (
        lambda f: objects(num_points=[0] * 5)(all_boxes(2, 1, 5.0)(f)),
        "points-in-boxes",
        "75 of 75 boxes within 50 m hold no point",
    ),
    "width before length": (exchange_sides, "class-sizes", "100 % of the 363 boxes of VEHICLE are wider than long"),
    "classes exchanged": (
        objects(label=[1, 1, 1, 0, 3]),
        "class-sizes",
        "121 boxes of VEHICLE are 0.8 or less m long and half of the 363 boxes of PEDESTRIAN are 4.5 or more m long",
    ),
    "sizes in feet": (
        all_boxes(slice(3, 6), 3.28),
        "class-sizes",
        "half of the 121 boxes of PEDESTRIAN are 2.6 or more",
    ),
    "points of a camera": (swap_axes, "z-axis", "is z up? points are in the vehicle frame"),
    "points in kilometres": (scaled_points(slice(0, 3), 1e-3), "small-cloud", "kilometres? points are in metres"),
}


@pytest.mark.parametrize("name", SURE)
def test_what_is_sure_is_an_error_unless_it_is_meant(name: str) -> None:
    spoil, kind, says = SURE[name]
    frames = [spoil(make_frame(i)) for i in range(121)]
    try:
        _, errors, _ = check(frames)
    except SegmentError as error:
        errors = [str(error)]
    assert says in errors[0]
    assert f"(meant? --allow {kind})" in errors[0]
    passed, errors, warnings = check(frames, allowed=ALLOWABLE)
    assert (passed, errors) == (121, [])
    assert [line for line in warnings if says in line], warnings


def test_what_is_sure_keeps_a_segment_out_of_the_store(tmp_path: Path) -> None:
    wrong, good = (
        [replace(make_frame(i), segment=name) for i in range(count)] for name, count in (("wrong", 61), ("good", 3))
    )
    frames = [*map(exchange_sides, wrong), *good]
    with pytest.raises(UserError, match=r"wider than long.*--allow class-sizes"):
        write_store(tmp_path / "store", frames)
    with pytest.warns(UserWarning, match="wider than long"):
        write_store(tmp_path / "store", frames, allowed=["class-sizes"])
    assert [bool(one.faults) for one in check_store(tmp_path / "store")] == [False, False]  # it remembers
    with pytest.raises(UserError, match="'heading' is none of class-sizes, class-order"):
        write_store(tmp_path / "store", frames, allowed=["heading"])


def test_one_misplaced_frame_is_named() -> None:
    wrong = all_boxes(2, 1, 5.0)
    spoiled = objects(num_points=[60] * 5)(wrong(make_frame(613)))
    passed, errors, warnings = check(spoiled if i == 613 else make_frame(i) for i in range(1000))
    assert (passed, errors) == (1000, [])
    (line,) = warnings
    assert line.startswith("frame 613 (")
    assert "none of its 5 boxes labelled with 40 points or more holds one" in line


@pytest.mark.parametrize("name", [name for name, (_, _, is_error) in CASES.items() if is_error][::7])
def test_one_in_a_thousand_is_found_and_named(name: str) -> None:
    spoil, says, _ = CASES[name]
    frames = (spoil(make_frame(i)) if i == 613 else make_frame(i) for i in range(1000))
    passed, (error,), warnings = check(frames)
    assert passed == 999
    assert error.startswith("frame 613 (")
    assert says in error
    assert warnings == []  # the pause of 200 ms that it leaves is none


def test_many_oddities_are_one_line_with_a_count() -> None:
    _, errors, warnings = check(box(6, 7.0)(make_frame(i)) for i in range(40))
    assert errors == []
    (line,) = warnings
    assert line.startswith(f"frame 0 (tiny/{START_US}): box 1: heading 7")
    assert line.endswith("(40 times, this is the first)")


def test_no_false_alarm_on_real_frames(real_data: Path) -> None:
    files = read_npz_folder(real_data / "pandaset", lambda amount: None, pytest.fail)
    passed, errors, warnings = check(files)
    assert (passed, errors, warnings) == (28, [], [])


def test_no_false_alarm_on_a_simulated_street() -> None:
    frames = [decode_frame(encode_scan(scan)) for scan in simulate_segment(3, num_frames=2)]
    passed, errors, warnings = check(frames)
    assert (passed, errors, warnings) == (2, [], [])
