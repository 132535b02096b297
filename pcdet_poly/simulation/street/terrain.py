"""The ground as a mesh: lanes with paint, kerbs, sidewalks, land beside the street."""

from __future__ import annotations

import numpy as np

from pcdet_poly.simulation.solids.materials import Material
from pcdet_poly.simulation.solids.mesh import Mesh, build_quad_mesh
from pcdet_poly.simulation.street.course import LANE_M, Street

REACH_M = 90.0  # ground to the left and right of the centre line
_LINE_M = 0.12
_DASH_M = 3.0


def build_terrain(street: Street, plot_material: Material) -> Mesh:
    """The ground of `street` between s = 0 and its length."""
    s, d = _list_edges_along(street), _list_edges_across(street)
    vertices = street.position(s[:, None], d[None, :], ground=False)
    # A kerb is a step: heights are taken a little inside each strip's own side of an edge.
    vertices[..., 2] = street.height(s[:, None], d[None, :])
    index = np.arange(len(s) * len(d)).reshape(len(s), len(d))
    quads = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1)
    material = _choose_materials(street, (s[:-1] + s[1:]) / 2, (d[:-1] + d[1:]) / 2, plot_material)
    return build_quad_mesh(vertices.reshape(-1, 3), quads.reshape(-1, 4), material.reshape(-1))


def _list_edges_along(street: Street) -> np.ndarray:
    edges = [np.arange(0.0, street.length_m, _DASH_M)]
    for middle, half in street.crossings:
        for side in (-1, 1):
            # Both sides of the kerb, and a crosswalk's two edges just outside the side street.
            edges.append(middle + side * (half + np.array([-0.01, 0.01, 1.0, 3.0])))
    return np.unique(np.concatenate(edges))


def _list_edges_across(street: Street) -> np.ndarray:
    kerb, plot = street.half_road_m, street.half_street_m
    edges = [0.0, _LINE_M, kerb - 0.01, kerb + 0.01, plot, *np.linspace(plot + 6, REACH_M, 10)]
    for lane in range(1, street.num_lanes + 1):
        edges += [lane * LANE_M - _LINE_M / 2, lane * LANE_M + _LINE_M / 2]
    right = np.unique(edges)
    return np.concatenate([-right[:0:-1], right])


def _choose_materials(street: Street, s: np.ndarray, d: np.ndarray, plot_material: Material) -> np.ndarray:
    """(S, D) material of each cell with its middle at s, d."""
    material = np.full((len(s), len(d)), int(plot_material))
    across = np.abs(d)
    material[:, across < street.half_street_m] = int(Material.CONCRETE)
    material[:, across < street.half_road_m] = int(Material.ASPHALT)
    material[:, across < _LINE_M] = int(Material.PAINT_LINE)
    dashed = (np.floor(s / _DASH_M).astype(np.int64) % 3 == 0)[:, None]
    for lane in range(1, street.num_lanes + 1):
        line = (np.abs(across - lane * LANE_M) < _LINE_M / 2)[None, :]
        material[(dashed | (lane == street.num_lanes)) & line] = int(Material.PAINT_LINE)
    crossing = street.crosses(s)
    material[crossing] = int(Material.ASPHALT)
    walk = street.crosses(s, 3.0) & ~street.crosses(s, 1.0)
    stripes = (across < street.half_road_m) & (np.floor(across / 0.6) % 2 == 0)
    material[np.ix_(walk, stripes)] = int(Material.PAINT_LINE)
    return material
