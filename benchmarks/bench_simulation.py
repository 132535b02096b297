"""Speed of the LiDAR simulator at full sensor size, stage by stage and whole.

    python -m benchmarks.bench_simulation [--frames N] [--seed N]

CPU seconds of one core, best of N repetitions for stages; prints a Markdown table. Compiling the
numba kernels (once per machine) is not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from pcdet_poly.simulation import simulate_segment
from pcdet_poly.simulation.lidar.cast import MeshCaster, cast_solids
from pcdet_poly.simulation.lidar.effects import measure_returns
from pcdet_poly.simulation.lidar.rays import Hits
from pcdet_poly.simulation.lidar.sensor import build_waymo_lidars
from pcdet_poly.simulation.segment import SIGHT_M, place_beams
from pcdet_poly.simulation.street.scene import build_scene
from pcdet_poly.waymo import encode_scan

SEED = np.uint64(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1000)
    arguments = parser.parse_args()
    print("| stage | CPU ms | |\n|---|---|---|")
    stages(arguments.seed, arguments.frames)
    whole(arguments.seed, arguments.frames)


def stages(seed: int, repeat: int) -> None:
    """Rows for one frame's parts, with the TOP LiDAR."""
    times_s = np.zeros(1)
    scene = build_scene(np.random.default_rng(seed), times_s)
    top = build_waymo_lidars(0)[0]
    beams, _ = place_beams(scene, top, 0.0)
    mesh, hits = MeshCaster(scene.mesh), Hits.empty(top.shape)
    index = scene.actors.find_near(0.0, beams.origin[0, :2], SIGHT_M)
    instances = scene.actors.place_solids(scene.actors.move(0.0, index), index)
    rays, solids = int(top.fires.sum()), len(instances.shapes)
    row("build a scene", best(lambda: build_scene(np.random.default_rng(seed), times_s), repeat), "once per segment")
    cost = best(lambda: mesh.cast(beams, hits), repeat)
    row("TOP: mesh (open3d)", cost, f"{len(scene.mesh.triangles)} triangles, {rays / cost / 1e6:.1f} Mray/s")
    cost = best(lambda: cast_solids(beams, instances, hits, SEED), repeat)
    row("TOP: solids (numba)", cost, f"{solids} solids, {rays / cost / 1e6:.1f} Mray/s")
    row("TOP: effects", best(lambda: measure_returns(top, hits, scene.actors.tint, SEED), repeat), "")
    scan = next(simulate_segment(seed, num_frames=1))
    row("encode", best(lambda: encode_scan(scan), repeat), f"{len(encode_scan(scan)) / 1e6:.1f} MB, mostly zlib")


def whole(seed: int, num_frames: int) -> None:
    """A segment from its seed to bytes."""
    start = time.process_time()
    for scan in simulate_segment(seed, num_frames=num_frames, interval_s=1.0):
        encode_scan(scan)
    cost = (time.process_time() - start) / num_frames
    row("a frame, all in all", cost, f"**{1 / cost:.1f} frames/s** per core, {num_frames} frames a segment")


def best(run: Callable[[], object], repeat: int) -> float:
    """CPU seconds of the fastest of `repeat` runs, after one to warm up."""
    run()
    costs = []
    for _ in range(repeat):
        start = time.process_time()
        run()
        costs.append(time.process_time() - start)
    return min(costs)


def row(stage: str, seconds: float, note: str) -> None:
    print(f"| {stage} | {seconds * 1e3:.1f} | {note} |")


if __name__ == "__main__":
    main()
