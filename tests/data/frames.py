"""Frames full of random numbers, every field in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.data.store.arrow_points import Precision
from pcdet_poly.data.store.frame_store import write_segment
from pcdet_poly.data.store.manifest import Manifest, write_manifest
from pcdet_poly.data.store.source_fingerprint import Source
from pcdet_poly.structures import POINT_COLUMNS, WAYMO_CLASSES, Frame, GroundTruth, LidarCalibration
from tests.waymo.scans import rigid


def make_frame(seed: int = 0, *, num_points: int = 500, num_objects: int = 7, segment: str = "segment-a") -> Frame:
    """A frame whose seed counts tenths of a second."""
    rng = np.random.default_rng(seed)
    return Frame(
        points=make_points(rng, num_points),
        ground_truth=make_objects(rng, num_objects),
        world_from_vehicle=rigid(*rng.normal(0, 1, 6)),
        timestamp_us=1_550_083_467_346_370 + 100_000 * seed,
        segment=segment,
        calibrations=(_calibration(rng, 1, 64), _calibration(rng, 2, 0)),
        no_label_zones=(rng.normal(0, 1e2, (5, 2)), rng.normal(0, 1e2, (3, 2))),
        context={"time_of_day": "Day", "location": "location_sf", "weather": "sünny"},
    )


def make_points(rng: np.random.Generator, num_points: int) -> np.ndarray:
    points = np.empty((num_points, len(POINT_COLUMNS)), np.float32)
    points[:, :3] = rng.uniform(-75, 75, (num_points, 3))
    points[:, 3] = rng.lognormal(-3, 3, num_points)
    points[:, 4] = rng.uniform(0, 1.5, num_points)
    points[:, 5] = rng.integers(0, 2, num_points)
    points[:, 6] = rng.integers(1, 3, num_points)
    points[:, 7] = rng.integers(1, 6, num_points)
    return points


def make_objects(rng: np.random.Generator, num_objects: int) -> GroundTruth:
    box = rng.uniform(-70, 70, (num_objects, 7))
    box[:, 2] = rng.uniform(-1, 2, num_objects)
    box[:, 3:6] = rng.uniform(0.5, 5, (num_objects, 3))
    box[:, 6] = rng.uniform(-np.pi, np.pi, num_objects)
    speed = rng.normal(0, 5, (num_objects, 2))
    speed[::3] = np.nan
    return GroundTruth(
        box=box.astype(np.float32),
        label=rng.integers(0, len(WAYMO_CLASSES), num_objects),
        level=rng.integers(0, 3, num_objects),
        num_points=rng.integers(0, 300, num_objects),
        track=np.array([f"track-{i}" for i in range(num_objects)], np.str_),
        speed=speed.astype(np.float32),
    )


def _calibration(rng: np.random.Generator, lidar: int, beams: int) -> LidarCalibration:
    inclination = np.sort(rng.uniform(-0.3, 0.05, beams))
    return LidarCalibration(lidar, rigid(*rng.normal(0, 1, 6)), inclination, -0.3, float(rng.uniform(0, 0.1)))


def assert_same_frame(a: Frame, b: Frame, *, points: bool = True) -> None:
    """Every field equal, floats bit for bit (NaN where NaN); points too unless told not to compare them."""
    for field in fields(Frame):
        if points or field.name != "points":
            _assert_same(getattr(a, field.name), getattr(b, field.name), field.name)


def _assert_same(a: Any, b: Any, place: str) -> None:
    if isinstance(a, np.ndarray):
        assert a.shape == b.shape, place
        if a.dtype.kind not in "US":
            assert a.dtype == b.dtype, place
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), place
        if a.dtype.kind == "f":
            assert np.array_equal(np.signbit(a), np.signbit(b)) or np.isnan(a).any(), place
    elif isinstance(a, tuple):
        assert len(a) == len(b), place
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            _assert_same(one, other, f"{place}[{i}]")
    elif isinstance(a, GroundTruth | LidarCalibration):
        for field in fields(a):
            _assert_same(getattr(a, field.name), getattr(b, field.name), f"{place}.{field.name}")
    else:
        assert a == b, place


def write_unchecked_store(folder: Path, frames: Sequence[Frame], *, precision: Precision = "exact") -> None:
    """A store of one segment as an older version may have written it, whatever its frames hold."""
    entry = write_segment(folder, frames, Source(Path("source"), 0, 0), precision=precision)
    write_manifest(folder, Manifest({"precision": precision}).with_segment(entry))
