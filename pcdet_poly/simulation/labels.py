"""What a person would have labelled in a simulated scan."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.arrays.points_in_boxes import count_points
from pcdet_poly.simulation.geometry import wrap_angle
from pcdet_poly.simulation.lidar.sensor import SWEEP_S
from pcdet_poly.simulation.street.actors import Motion
from pcdet_poly.simulation.street.scene import StreetScene
from pcdet_poly.structures import GroundTruth
from pcdet_poly.structures.polygons import find_points_in_polygons

REACH_M = 75.0
_FEW_POINTS = 25  # objects seen by so few points are annotated as hard ...
_HARD_SHARE = 0.3  # ... this often


def move_to_sweep(motion: Motion, world_from_vehicle: np.ndarray) -> Motion:
    """The objects where the TOP LiDAR's rotating beam meets them: where people draw their boxes.

    The sweep starts behind the vehicle and turns clockwise; half of it is over at the frame's instant.
    """
    away = (motion.position - world_from_vehicle[:3, 3]) @ world_from_vehicle[:3, :3]
    delay_s = -np.arctan2(away[:, 1], away[:, 0]) / (2 * np.pi) * SWEEP_S
    return Motion(motion.position + motion.velocity * delay_s[:, None], motion.velocity, motion.rotation)


def label_objects(
    scene: StreetScene,
    seen: Motion,
    index: np.ndarray,
    world_from_vehicle: np.ndarray,
    points: np.ndarray,
    frame: tuple[int, int],
) -> GroundTruth:
    """Labels of the actors that a person would have labelled: of a class, with points, outside no-label zones.

    Args:
        scene: The street with everything on it.
        seen: Where the actors at `index` are when the beam meets them, as `move_to_sweep` gives it; world frame.
        index: Numbers (A,) of the actors near the vehicle.
        world_from_vehicle: (4, 4) pose of the frame.
        points: (P, 3) float32, all measured points in the vehicle frame.
        frame: Seed of the segment and number of the frame; they decide which objects count as hard.

    Returns:
        Boxes in the vehicle frame with class, level, number of points, track and speed.
    """
    actors = scene.actors
    labelled = (actors.label[index] >= 0) & ~find_points_in_polygons(seen.position[:, :2], scene.no_label_zones)
    box = _build_boxes(seen, actors.size[index], actors.bottom_m[index], world_from_vehicle)
    labelled &= np.hypot(box[:, 0], box[:, 1]) < REACH_M
    index, box, velocity = index[labelled], box[labelled], seen.velocity[labelled]
    num_points = count_points(points, box)
    visible = num_points > 0
    index, box, velocity, num_points = index[visible], box[visible], velocity[visible], num_points[visible]
    return GroundTruth(
        box=box,
        label=actors.label[index],
        level=_draw_levels(num_points, frame),
        num_points=num_points,
        track=np.array([f"sim{frame[0]}-{actor}" for actor in index], dtype="<U32"),
        speed=velocity[:, :2].astype(np.float32),
    )


def _build_boxes(motion: Motion, size: np.ndarray, bottom: np.ndarray, world_from_vehicle: np.ndarray) -> np.ndarray:
    """(A, 7) float32 in the vehicle frame."""
    turn = world_from_vehicle[:3, :3]
    up = motion.rotation[:, :, 2] * (bottom + size[:, 2] / 2)[:, None]
    center = (motion.position + up - world_from_vehicle[:3, 3]) @ turn
    facing = motion.rotation[:, :, 0] @ turn
    heading = wrap_angle(np.arctan2(facing[:, 1], facing[:, 0]))
    return np.column_stack([center, size, heading]).astype(np.float32)


def _draw_levels(num_points: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    """Mostly 0, as in Waymo's files: the level then follows from the number of points."""
    rng = np.random.default_rng((*frame, 1))
    hard = (num_points <= _FEW_POINTS) & (rng.random(len(num_points)) < _HARD_SHARE)
    return np.where(hard, 2, 0)
