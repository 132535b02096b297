"""The street a segment drives along: its course, cross-section, side streets and height.

Everything is placed in street coordinates: `s` metres along the centre line, `d` metres to its
left. Side streets are strips of constant `s`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KERB_M = 0.14
LANE_M = 3.4


@dataclass(frozen=True)
class Street:
    """One street and what crosses it."""

    length_m: float
    heading_rad: float  # of the centre line at s = 0
    curvature: float  # 1/m, constant; positive turns left
    num_lanes: int  # in each direction
    bike_lane_m: float  # width beside the outer lane, 0 where there is none
    parking_m: float  # width of the parking lane, 0 where there is none
    sidewalk_m: float
    crossings: tuple[tuple[float, float], ...]  # (s, half width) of side streets
    swell_m: float  # amplitude of the rise and fall along the street
    swell_length_m: float
    swell_phase: float
    bank: float  # height of the land beside the street per metre of |d|: left positive

    @property
    def half_road_m(self) -> float:
        """Centre line to kerb."""
        return self.num_lanes * LANE_M + self.bike_lane_m + self.parking_m

    @property
    def half_street_m(self) -> float:
        """Centre line to the first building plot."""
        return self.half_road_m + self.sidewalk_m

    def lane_d(self, lane: int) -> float:
        """Lateral position of a lane, 0 the innermost; traffic drives on the right, so along +s at d < 0."""
        return -(lane + 0.5) * LANE_M

    def crosses(self, s: np.ndarray | float, margin_m: float = 0.0) -> np.ndarray:
        """Whether `s` lies in a side street, or nearer to one than the margin."""
        s = np.asarray(s, float)
        inside = np.zeros(s.shape, bool)
        for middle, half in self.crossings:
            inside |= np.abs(s - middle) < half + margin_m
        return inside

    def heading(self, s: np.ndarray | float) -> np.ndarray:
        """Direction of +s in the world, radians."""
        return self.heading_rad + self.curvature * np.asarray(s, float)

    def position(self, s: np.ndarray | float, d: np.ndarray | float, *, ground: bool = True) -> np.ndarray:
        """World position of street coordinates.

        Args:
            s: Metres along the centre line, any shape (...).
            d: Metres to its left, any shape that broadcasts against `s`.
            ground: Whether z is the ground's height; else it is 0.

        Returns:
            (..., 3) float64, metres.
        """
        s, d = np.broadcast_arrays(np.asarray(s, float), np.asarray(d, float))
        heading, k = self.heading(s), self.curvature
        # The centre line: an arc (or a straight line) from the origin.
        x = (np.sin(heading) - np.sin(self.heading_rad)) / k - d * np.sin(heading)
        y = (np.cos(self.heading_rad) - np.cos(heading)) / k + d * np.cos(heading)
        return np.stack([x, y, self.height(s, d) if ground else np.zeros_like(x)], axis=-1)

    def height(self, s: np.ndarray | float, d: np.ndarray | float) -> np.ndarray:
        """Height of the ground: the street's swell, kerbs, and land that rises or falls beside it."""
        s, d = np.broadcast_arrays(np.asarray(s, float), np.asarray(d, float))
        swell = self.swell_m * np.sin(2 * np.pi * s / self.swell_length_m + self.swell_phase)
        beyond = np.sign(d) * np.maximum(np.abs(d) - self.half_street_m, 0.0)
        raised = (np.abs(d) > self.half_road_m) & ~self.crosses(s)
        return swell + self.bank * beyond + KERB_M * raised

    def grade(self, s: np.ndarray, d: np.ndarray, us: np.ndarray, ud: np.ndarray) -> np.ndarray:
        """Rise per metre when moving along a direction, kerbs left out.

        Args:
            s: Metres along the centre line, any shape.
            d: Metres to its left, same shape.
            us: First component of the unit direction in street coordinates, along s.
            ud: Its second component, along d.

        Returns:
            Metres up per metre of way, same shape.
        """
        wave = 2 * np.pi / self.swell_length_m
        along = self.swell_m * wave * np.cos(wave * np.asarray(s, float) + self.swell_phase)
        return along * us + np.where(np.abs(d) > self.half_street_m, self.bank, 0.0) * ud


def draw_street(rng: np.random.Generator, length_m: float) -> Street:
    """A street of a random kind: narrow and residential to wide and urban."""
    num_lanes = int(rng.choice([1, 2, 2, 3]))
    swell_length = rng.uniform(150, 400)
    return Street(
        length_m=length_m,
        heading_rad=rng.uniform(-np.pi, np.pi),
        curvature=rng.choice([-1.0, 1.0]) / rng.uniform(180, 1500),
        num_lanes=num_lanes,
        bike_lane_m=float(rng.choice([0.0, 1.6, 1.8])),
        parking_m=float(rng.choice([0.0, 2.4, 2.4, 2.5])),
        sidewalk_m=rng.uniform(3.0, 5.5),
        crossings=_draw_crossings(rng, length_m),
        swell_m=rng.uniform(0.0, 0.035) * swell_length / (2 * np.pi),  # at most 3.5 % steep
        swell_length_m=swell_length,
        swell_phase=rng.uniform(0, 2 * np.pi),
        bank=rng.uniform(-0.02, 0.02),
    )


def _draw_crossings(rng: np.random.Generator, length_m: float) -> tuple[tuple[float, float], ...]:
    crossings, s = [], rng.uniform(10, 60)
    while s < length_m - 20:
        crossings.append((float(s), float(rng.uniform(3.5, 7.0))))
        s += rng.uniform(60, 130)
    return tuple(crossings)
