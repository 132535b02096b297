"""Objects of a scene and how they move along the street."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.simulation.geometry import rotation_matrices
from pcdet_poly.simulation.lidar.cast import Instances
from pcdet_poly.simulation.solids.shapes import Shapes
from pcdet_poly.simulation.street.course import Street

UNLABELLED = -1
_CIRCLES = (-0.36, 0.0, 0.36)  # where circles that cover a box sit, in box lengths


@dataclass(frozen=True)
class Track:
    """Straight motion in street coordinates, with a speed that swells and falls.

    After t seconds an object is `v t + v wave / omega (cos(phase) - cos(omega t + phase))` metres
    along (us, ud); its speed is `v (1 + wave sin(omega t + phase))`.
    """

    s: float
    d: float
    facing_rad: float  # heading relative to the street's
    us: float = 1.0
    ud: float = 0.0
    v: float = 0.0
    wave: float = 0.0
    omega: float = 1.0
    phase: float = 0.0


@dataclass(frozen=True)
class Actor:
    """One object: solids, label box (zeros where there is none), way of moving."""

    shapes: Shapes
    size: tuple[float, float, float]
    track: Track
    label: int = UNLABELLED  # position in WAYMO_CLASSES
    bottom_m: float = 0.0  # floor of the label box above the ground
    upright: bool = False  # stands plumb on sloping ground
    tint: float = 1.0  # factor on the intensity of tinted materials


@dataclass(frozen=True)
class Motion:
    """A objects at one instant, world frame."""

    position: np.ndarray  # (A, 3) on the ground
    velocity: np.ndarray  # (A, 3) m/s
    rotation: np.ndarray  # (A, 3, 3) world from object


class ActorTable:
    """All actors of a scene, as arrays."""

    def __init__(self, street: Street, actors: Sequence[Actor]) -> None:
        self.street = street
        self.tracks = np.array([_flatten_track(actor.track) for actor in actors]).reshape(-1, 9)  # (A, 9)
        self.upright = np.array([actor.upright for actor in actors], bool)
        self.size = np.array([actor.size for actor in actors]).reshape(-1, 3)
        self.bottom_m = np.array([actor.bottom_m for actor in actors])
        self.label = np.array([actor.label for actor in actors], np.int64)
        self.tint = np.array([actor.tint for actor in actors])
        self.shapes = Shapes.join([actor.shapes for actor in actors])
        self.actor_of_shape = np.repeat(np.arange(len(actors)), [len(actor.shapes) for actor in actors])

    def move(self, time_s: float, index: np.ndarray) -> Motion:
        """The actors at `index` after `time_s`."""
        tracks = self.tracks[index]
        moved, speed = travel(tracks, time_s)
        s, d = tracks[:, 0] + tracks[:, 3] * moved, tracks[:, 1] + tracks[:, 4] * moved
        street = self.street
        step = 0.05
        position = street.position(s, d)
        ahead = street.position(s + tracks[:, 3] * step, d + tracks[:, 4] * step, ground=False)
        behind = street.position(s - tracks[:, 3] * step, d - tracks[:, 4] * step, ground=False)
        direction = (ahead - behind) / np.linalg.norm(ahead - behind, axis=1, keepdims=True)
        direction[:, 2] = street.grade(s, d, tracks[:, 3], tracks[:, 4])
        facing = tracks[:, 2]
        pitch = -np.arctan(street.grade(s, d, np.cos(facing), np.sin(facing)))
        pitch = np.where(self.upright[index], 0.0, pitch)
        return Motion(
            position=position,
            velocity=direction * speed[:, None],
            rotation=rotation_matrices(np.zeros(len(s)), pitch, street.heading(s) + facing),
        )

    def place_solids(self, motion: Motion, index: np.ndarray) -> Instances:
        """Solids of the actors at `index`, which move as `motion` says."""
        place = np.full(len(self.label), -1)
        place[index] = np.arange(len(index))
        chosen = np.flatnonzero(place[self.actor_of_shape] >= 0)
        return Instances(
            motion.position,
            motion.velocity,
            motion.rotation,
            index.astype(np.int32),
            self.shapes.take(chosen),
            place[self.actor_of_shape[chosen]],
        )

    def find_near(self, time_s: float, center: np.ndarray, reach_m: float) -> np.ndarray:
        """Find the actors around a point.

        Args:
            time_s: The instant, seconds after the segment's start.
            center: (2,) the point, world frame, metres.
            reach_m: Greatest horizontal distance.

        Returns:
            Ascending indices of the actors within reach.
        """
        moved, _ = travel(self.tracks, time_s)
        s, d = self.tracks[:, 0] + self.tracks[:, 3] * moved, self.tracks[:, 1] + self.tracks[:, 4] * moved
        away = self.street.position(s, d, ground=False)[:, :2] - center
        return np.flatnonzero((away**2).sum(axis=1) < reach_m**2)


def travel(tracks: np.ndarray, time_s: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance along the track and speed of tracks (..., 9) after `time_s`."""
    v, wave, omega, phase = (tracks[..., k] for k in (5, 6, 7, 8))
    moved = v * time_s + v * wave / omega * (np.cos(phase) - np.cos(omega * time_s + phase))
    return moved, v * (1 + wave * np.sin(omega * time_s + phase))


class Occupancy:
    """Who is where at the instants that will be seen, so that nobody walks through anybody.

    Every object is three circles along its box, in street coordinates.
    """

    def __init__(self, times_s: np.ndarray) -> None:
        self._times = times_s  # (T,)
        self._centers = np.zeros((0, len(times_s), len(_CIRCLES), 2))
        self._radius = np.zeros(0)

    def claim(self, track: Track, size: tuple[float, float, float]) -> bool:
        """Take the space of an object if all of it is free at all times."""
        centers, radius = self._place_circles(track, size)
        if len(self._radius):
            # (A, T, 3, 3) distances between its circles and everybody's.
            gap = np.abs(self._centers[:, :, 1, 0] - centers[None, :, 1, 0]).min(axis=1)
            close = np.flatnonzero(gap < 14)
            apart = self._centers[close][:, :, :, None, :] - centers[None, :, None, :, :]
            limit = (self._radius[close] + radius)[:, None, None, None]
            if ((apart**2).sum(axis=-1) < limit**2).any():
                return False
        self._centers = np.concatenate([self._centers, centers[None]])
        self._radius = np.append(self._radius, radius)
        return True

    def _place_circles(self, track: Track, size: tuple[float, float, float]) -> tuple[np.ndarray, float]:
        moved, _ = travel(_flatten_track(track), self._times)
        middle = np.stack([track.s + track.us * moved, track.d + track.ud * moved], axis=-1)  # (T, 2)
        axis = np.array([np.cos(track.facing_rad), np.sin(track.facing_rad)])
        offsets = np.array(_CIRCLES)[:, None] * size[0] * axis
        return middle[:, None, :] + offsets[None], float(np.hypot(size[1] / 2, size[0] * 0.15))


def _flatten_track(track: Track) -> np.ndarray:
    return np.array(
        [track.s, track.d, track.facing_rad, track.us, track.ud, track.v, track.wave, track.omega, track.phase]
    )
