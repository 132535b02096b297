"""A segment that nothing is wrong with, to spoil."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from pcdet_poly.checks.findings import Tally
from pcdet_poly.data.store.checked_frames import check_frames
from pcdet_poly.errors import UserError
from pcdet_poly.structures import Frame, GroundTruth
from tests import tiny

START_US = 1_553_735_853_462_203  # where Waymo's clock is


def make_frame(number: int) -> Frame:
    """Frame `number` of a drive at 10 Hz; arrays of its own, which a test may spoil."""
    frame = tiny.frame(number % 3)
    pose = np.eye(4)
    pose[0, 3] = number
    return replace(frame, world_from_vehicle=pose, timestamp_us=START_US + 100_000 * number)


def check(frames: Iterable[Frame], allowed: Collection[str] = ()) -> tuple[int, list[str], list[str]]:
    """The number of frames that pass, the errors, and the warnings."""
    errors: list[UserError] = []
    tally = Tally()
    passed = sum(1 for _ in check_frames(frames, errors.append, tally, allowed=allowed))
    return passed, [str(error) for error in errors], tally.describe()


def replace_objects(frame: Frame, **columns: np.ndarray) -> Frame:
    """The frame with other columns of labels."""
    return replace(frame, ground_truth=GroundTruth(**{**frame.ground_truth.columns(), **columns}))
