"""Simulated against real frames: numbers on the terminal, histograms in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.files import atomic_path
from pcdet_poly.simulation.comparison.statistics import (
    RANGE_EDGES_M,
    UNIT_EDGES,
    FrameStatistics,
    average_field,
    measure_real_frame,
    measure_simulated_frame,
)
from pcdet_poly.structures import WAYMO_CLASSES
from pcdet_poly.visualization.palette import VERMILION
from pcdet_poly.waymo import read_frames

_COLOURS = {"real": "black", "simulated": VERMILION}


def compare_frames(real: Sequence[str | Path], labels: Sequence[str], seeds: Sequence[int], output: str | Path) -> None:
    """Print a line per group of frames, and draw both groups.

    Args:
        real: files of real frames, float32 (P, 5) rows of x, y, z, tanh(intensity), elongation.
        labels: Waymo records whose labels give points per object; may be empty.
        seeds: simulated segments; the first frame of each is taken.
        output: picture to write, PNG.
    """
    frames = {"real": [measure_real_frame(path) for path in real]}
    simulated = [measure_simulated_frame(seed) for seed in seeds]
    frames["simulated"] = [statistics for statistics, _ in simulated]
    for name, group in frames.items():
        _print_summary(name, group)
    objects = {"simulated": np.concatenate([rows for _, rows in simulated])}
    if labels:
        objects["real"] = np.concatenate([_read_labelled_objects(path) for path in labels])
    draw_comparison(frames, objects, output)


def draw_comparison(frames: dict[str, list[FrameStatistics]], objects: dict[str, np.ndarray], path: str | Path) -> None:
    """Draw histograms of all points, and points per object where labels are known.

    Args:
        frames: Statistics of each group's frames, by the name of the group ("real", "simulated").
        objects: For each group with labels, (N, 3) class, horizontal distance in metres and number of points.
        path: The PNG to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(16, 9), layout="constrained")
    _draw_hist(axes[0, 0], frames, "range_hist", RANGE_EDGES_M, "points by horizontal distance (m)")
    _draw_hist(axes[0, 1], frames, "intensity_hist", UNIT_EDGES, "share of points by tanh(intensity)")
    _draw_hist(axes[0, 2], frames, "elongation_hist", UNIT_EDGES, "share of points by elongation")
    _draw_hist(axes[1, 0], frames, "beam_points", np.arange(65), "first returns per TOP beam, lowest first")
    _draw_counts(axes[1, 1], frames)
    _draw_objects(axes[1, 2], objects)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=80, format="png")
    plt.close(figure)


def _draw_hist(axis: Any, frames: dict[str, list[FrameStatistics]], field: str, edges: np.ndarray, title: str) -> None:
    for name, group in frames.items():
        for frame in group:
            axis.stairs(getattr(frame, field), edges, color=_COLOURS[name], alpha=0.2)
        axis.stairs(average_field(group, field), edges, color=_COLOURS[name], lw=2, label=name)
    if field != "beam_points":
        axis.set_yscale("log")
    axis.set_title(title)
    axis.legend()


def _draw_counts(axis: Any, frames: dict[str, list[FrameStatistics]]) -> None:
    fields = ("num_points", "num_top_first", "num_top_second")
    for shift, (name, group) in enumerate(frames.items()):
        for at, field in enumerate(fields):
            values = [getattr(frame, field) for frame in group]
            axis.scatter(
                [at + 0.2 * shift] * len(values), values, color=_COLOURS[name], label=name if at == 0 else None
            )
    axis.set_xticks(range(3), ["all", "TOP first", "TOP second"])
    axis.set_ylim(bottom=0)
    axis.set_title("points per frame")
    axis.legend()


def _draw_objects(axis: Any, objects: dict[str, np.ndarray]) -> None:
    edges = np.arange(0, 80, 10)
    for name, rows in objects.items():
        for label, style in ((0, "-"), (1, "--"), (2, ":")):
            medians = [_compute_median(rows, label, low, low + 10) for low in edges.tolist()]
            axis.plot(edges + 5, medians, style, color=_COLOURS[name], label=f"{name} {WAYMO_CLASSES[label].lower()}")
    axis.set_yscale("log")
    axis.set_title("median points per object by distance (m)")
    axis.legend()


def _compute_median(rows: np.ndarray, label: int, low: float, high: float) -> float:
    inside = rows[(rows[:, 0] == label) & (rows[:, 1] >= low) & (rows[:, 1] < high)]
    return float(np.median(inside[:, 2])) if len(inside) else float("nan")


def _read_labelled_objects(path: str) -> np.ndarray:
    """(N, 3) class, distance, points of the labels in a Waymo record."""
    truths = [frame.ground_truth for frame in read_frames(path)]
    return np.concatenate(
        [np.column_stack([g.label, np.hypot(g.box[:, 0], g.box[:, 1]), g.num_points]) for g in truths]
    )


def _print_summary(name: str, group: Sequence[FrameStatistics]) -> None:
    points, first, second = (average_field(group, f"num_{field}") for field in ("points", "top_first", "top_second"))
    middles = (UNIT_EDGES[1:] + UNIT_EDGES[:-1]) / 2
    intensity, elongation = (average_field(group, f"{field}_hist") for field in ("intensity", "elongation"))
    print(
        f"{name}: {len(group)} frames, {points:.0f} points, TOP {first:.0f} + {second:.0f} "
        f"({second / first:.1%} second), tanh(intensity) quartiles "
        + " ".join(f"{middles[np.searchsorted(np.cumsum(intensity), q)]:.2f}" for q in (0.25, 0.5, 0.75, 0.95))
        + f", above 0.98 {intensity[-1]:.2%}, elongation mean {(elongation * middles).sum():.3f}"
    )
