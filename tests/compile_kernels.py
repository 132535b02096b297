"""Compiles the CPU kernels that most tests need, once: `python -m tests.compile_kernels`.

Without it each of several test processes compiles them for itself, and so do the tests that copy the project's machine
code into a clone or beside an installed package.
"""

from __future__ import annotations

import numpy as np

from pcdet_poly.evaluation import evaluate
from pcdet_poly.ops.warm_up import warm_up
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.structures import WAYMO_CLASSES, Detections
from pcdet_poly.waymo import decode_frame, encode_scan
from tests.tiny import frame


def compile_kernels() -> None:
    """Run every operation, a simulated frame there and back, and an evaluation."""
    warm_up()
    for scan in simulate_segment(1, num_frames=1, interval_s=1.0):
        decode_frame(encode_scan(scan))
    truth = frame(0).ground_truth
    found = Detections(truth.box, truth.label, np.linspace(0.9, 0.5, len(truth.box), dtype=np.float32))
    evaluate([found], [truth], class_names=WAYMO_CLASSES)


if __name__ == "__main__":
    compile_kernels()
