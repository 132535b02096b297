"""The viewer's page, 80,000 points turned a little for every frame that the browser draws, in headless Chromium.

python -m benchmarks.bench_viewer [--json]

No graphics card takes part. A line's time is the median between two frames, which the browser draws at most 60 times a
second, and which other work on the machine makes longer; beside it stand frames a second, the CPU time of all processes
of the browser, and how busy the machine is. The bar is 30 frames a second on a quiet machine of two cores; on a busy
one the CPU time tells whether it would be reached: less than 33 ms a frame.
The peer is the same page with points by WebGL, which SwiftShader computes on the CPU.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.chromium import CHROMIUM, Page
from benchmarks.common import Row, main
from pcdet_poly.structures import Detections, Frame, GroundTruth
from pcdet_poly.visualization.viewer.page import build_page
from pcdet_poly.visualization.viewer.view import ViewSource, build_view

NUM_POINTS, NUM_LABELS, NUM_FRAMES = 80_000, 60, 90
LEAST_PER_S = 30  # frames on a quiet machine
CLASSES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
SIZES = ((1920, 1080), (1400, 800))
# The boxes' canvas is made anew: how a canvas is kept is settled when it is first drawn on.
BY_WEBGL = "cloud.canvas.replaceWith(cloud.canvas = el('canvas')); cloud.paintBy(pointPainter(cloud.below))"
TURN = """new Promise((done) => {
  const times = [];
  let last = performance.now();
  const step = (now) => {
    times.push(now - last);
    last = now;
    if (times.length > %d) return done(times.slice(1));
    cloud.turn(0.02, 0);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


def make_views() -> ViewSource:
    """Make a frame like a LiDAR's: points denser nearby, boxes around."""
    rng = np.random.default_rng(0)
    range_m, angle_rad = 75 * rng.uniform(0.03, 1, NUM_POINTS) ** 2, rng.uniform(-np.pi, np.pi, NUM_POINTS)
    height_m = rng.exponential(0.8, NUM_POINTS)
    points = np.column_stack([range_m * np.cos(angle_rad), range_m * np.sin(angle_rad), height_m]).astype(np.float32)
    place = rng.uniform(-50, 50, (NUM_LABELS, 2))
    box = np.column_stack([place, np.full(NUM_LABELS, 0.8), np.tile([4.5, 1.9, 1.6, 0.4], (NUM_LABELS, 1))])
    label = rng.integers(0, len(CLASSES), NUM_LABELS)
    labels = GroundTruth(
        box.astype(np.float32),
        label,
        np.ones_like(label),
        np.full_like(label, 9),
        np.array(["x"] * NUM_LABELS),
        np.zeros((NUM_LABELS, 2), np.float32),
    )
    found = Detections(labels.box + 0.1, label, rng.uniform(0.3, 1, NUM_LABELS).astype(np.float32))
    frame = Frame(points, labels, np.eye(4), timestamp_us=0, segment="bench", columns=("x", "y", "z"))
    view = build_view(frame, labels, found, CLASSES, min_score=0.3)
    return ViewSource("bench", ("bench/0",), lambda _: view)


def rows(device: str) -> Iterator[Row]:
    """Ours and WebGL in software, in two sizes of the window."""
    if CHROMIUM is None:
        yield Row("no Chromium on this machine", None)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(build_page(make_views(), [0], mode="class", min_score=0.3), encoding="utf-8")
        for width, height in SIZES:
            with Page(Path(folder) / f"profile {width}", width=width, height=height) as page:
                page.open(file)
                assert page.evaluate("cloud.paint === null"), "points are drawn by a graphics card"
                ours, own_cpu = measure_turn(page)
                yield Row(f"{width} x {height}: ours", ours, f"{describe(ours, own_cpu)}; the bar is {LEAST_PER_S}")
                page.evaluate(BY_WEBGL)
                assert page.evaluate("cloud.paint !== null"), "no WebGL in software"
                peer, peer_cpu = measure_turn(page)
                note = f"{describe(peer, peer_cpu)}, {peer_cpu / own_cpu:.1f} x ours"
                yield Row(f"{width} x {height}: WebGL by SwiftShader", peer, note)


def describe(frame_ms: float, cpu_ms: float) -> str:
    """Return frames a second and the CPU time of one, beside the load of the machine."""
    return f"{1000 / frame_ms:.0f} frames/s at load {os.getloadavg()[0]:.1f}; {cpu_ms:.1f} ms of CPU a frame"


def measure_turn(page: Page) -> tuple[float, float]:
    """Return the median time between frames of a turning cloud, and the CPU time of a frame, both in ms."""
    page.evaluate(TURN % 10)  # compiles
    before = sum(page.sum_cpu_seconds().values())
    times = page.evaluate(TURN % NUM_FRAMES)
    after = sum(page.sum_cpu_seconds().values())
    return statistics.median(times), 1e3 * (after - before) / NUM_FRAMES


if __name__ == "__main__":
    main(__doc__, rows)
