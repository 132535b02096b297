"""Four simulated frames, for detectors to learn by heart."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.waymo import decode_frame, encode_scan


@pytest.fixture(scope="session")
def four_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store of one segment, one frame a second."""
    folder = tmp_path_factory.mktemp("models") / "store"
    scans = simulate_segment(1000, num_frames=4, interval_s=1.0)
    write_store(folder, [decode_frame(encode_scan(scan)) for scan in scans])
    return folder
