"""The land beside the street: buildings, gardens, car parks, parks, and what closes the view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pcdet_poly.simulation.solids import furniture
from pcdet_poly.simulation.solids.mesh import Mesh
from pcdet_poly.simulation.solids.shapes import Shapes
from pcdet_poly.simulation.street.actors import Actor, Track
from pcdet_poly.simulation.street.buildings import build_house, build_wall
from pcdet_poly.simulation.street.course import Street
from pcdet_poly.simulation.street.traffic import park_in_lot

_KINDS = ("blocks", "houses", "lot", "park")
_SHARES = (0.42, 0.28, 0.18, 0.12)
_SHORTEST_M = 8.0


@dataclass
class Plots:
    """What is built and planted; grows while the street is laid out."""

    meshes: list[Mesh] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)


def lay_out_plots(rng: np.random.Generator, street: Street) -> Plots:
    """Fill the land between side streets on both sides, and the far ends of side streets."""
    plots = Plots()
    edges = [-5.0, *(edge for middle, half in street.crossings for edge in (middle - half, middle + half))]
    edges.append(street.length_m + 5.0)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        for side in (-1, 1):
            if end - start > _SHORTEST_M:
                _fill_plot(rng, street, start + 2, end - 2, side, plots)
    for middle, half in street.crossings:
        for side in (-1, 1):
            d = side * (street.half_street_m + rng.uniform(30, 65))
            plots.meshes.append(build_house(rng, street, middle, d, (2 * half + 14, 12, rng.uniform(6, 15))))
    return plots


def stand_upright(shapes: Shapes, s: float, d: float, facing: float = 0.0) -> Actor:
    """A thing without a label that stands plumb.

    Args:
        shapes: Its solids, in its own frame.
        s: Where it stands along the street, metres.
        d: Where it stands to the left of the centre line, metres.
        facing: Direction of its x axis relative to the street's, radians.

    Returns:
        An actor that never moves.
    """
    return Actor(shapes, (0.0, 0.0, 0.0), Track(s, d, facing), upright=True)


def _fill_plot(rng: np.random.Generator, street: Street, start: float, end: float, side: int, plots: Plots) -> None:
    kind = _KINDS[rng.choice(len(_KINDS), p=_SHARES)]
    if kind == "blocks":
        plots.meshes += _build_row(rng, street, start, end, side, setback_m=(0.5, 3.0), gap_m=2.0, high_m=(5, 22))
        return
    if kind == "houses":
        plots.meshes += _build_row(rng, street, start, end, side, setback_m=(4.0, 9.0), gap_m=6.0, high_m=(4, 8))
        plots.actors += _plant_gardens(rng, street, start, end, side)
        back = 26.0
        fence = build_wall(
            street, (start + end) / 2, side * (street.half_street_m + 24), length_m=end - start, height_m=2.0
        )
        plots.meshes.append(fence)
    elif kind == "lot":
        first = street.half_street_m + 1.5
        plots.actors += park_in_lot(rng, start, end, first, side, float(rng.uniform(0.3, 0.8)))
        back = 26.0
    else:
        back = float(rng.uniform(15, 40))
        plots.actors += _plant_park(rng, street, start, end, side, back)
    plots.meshes += _build_row(rng, street, start, end, side, setback_m=(back, back + 4), gap_m=3.0, high_m=(5, 14))


def _build_row(
    rng: np.random.Generator,
    street: Street,
    start: float,
    end: float,
    side: int,
    *,
    setback_m: tuple[float, float],
    gap_m: float,
    high_m: tuple[float, float],
) -> Iterator[Mesh]:
    """Buildings side by side, `gap_m` apart on average."""
    s = start
    while s < end - 6:
        along, deep = min(float(rng.uniform(9, 24)), end - s), float(rng.uniform(9, 16))
        d = side * (street.half_street_m + rng.uniform(*setback_m) + deep / 2)
        yield build_house(rng, street, s + along / 2, d, (along, deep, float(rng.uniform(*high_m))))
        s += along + float(rng.exponential(gap_m))


def _plant_gardens(rng: np.random.Generator, street: Street, start: float, end: float, side: int) -> Iterator[Actor]:
    s = start + 2
    while s < end - 2:
        d = side * (street.half_street_m + rng.uniform(0.8, 3.5))
        kind = rng.random()
        if kind < 0.7:
            yield stand_upright(furniture.build_bush(rng) if kind < 0.5 else furniture.build_tree(rng), s, d)
        s += rng.uniform(2, 7)
    if rng.random() < 0.6:
        line = furniture.build_fence if rng.random() < 0.5 else furniture.build_hedge
        yield stand_upright(line(rng, (end - start) * 0.4), (start + end) / 2, side * (street.half_street_m + 0.4))


def _plant_park(
    rng: np.random.Generator, street: Street, start: float, end: float, side: int, deep_m: float
) -> Iterator[Actor]:
    for _ in range(int((end - start) * deep_m / 50)):
        make = furniture.build_tree if rng.random() < 0.55 else furniture.build_bush
        d = side * (street.half_street_m + rng.uniform(1.5, deep_m))
        yield stand_upright(make(rng), rng.uniform(start, end), d)
