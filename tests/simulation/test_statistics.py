"""The comparison with real frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.simulation.comparison.compare import draw_comparison
from pcdet_poly.simulation.comparison.statistics import average_field, measure_real_frame, measure_simulated_frame
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.waymo import convert_range_images


def test_a_simulated_frame_written_as_points_gives_its_own_statistics(tmp_path: Path) -> None:
    direct, objects = measure_simulated_frame(21)
    cloud = convert_range_images(next(simulate_segment(21, num_frames=1)), (1, 2))
    order = np.lexsort((cloud[:, 6], cloud[:, 7]))  # LiDAR by LiDAR, as in the real files
    rows = np.column_stack([cloud[:, :3], np.tanh(cloud[:, 3]), cloud[:, 4]])[order].astype(np.float32)
    rows.tofile(tmp_path / "frame.bin")
    read = measure_real_frame(tmp_path / "frame.bin")
    assert read.num_points == direct.num_points
    assert read.num_top_first == direct.num_top_first
    assert read.num_top_second == pytest.approx(direct.num_top_second, rel=0.02)
    np.testing.assert_array_equal(read.range_hist, direct.range_hist)
    # A share of all points: the hyperbolic tangent and back, in float32, may move one in ten thousand to the next bin.
    np.testing.assert_allclose(read.intensity_hist, direct.intensity_hist, atol=1e-4)
    assert objects.shape[1] == 3
    draw_comparison({"real": [read], "simulated": [direct]}, {"simulated": objects}, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_simulated_frames_are_near_real_ones(real_data: Path) -> None:
    real = [measure_real_frame(path) for path in sorted((real_data / "waymo").glob("points_1*.bin"))]
    simulated = [measure_simulated_frame(seed)[0] for seed in range(30, 34)]
    for field, tolerance in (("num_points", 0.2), ("num_top_first", 0.2), ("num_top_second", 0.5)):
        assert average_field(simulated, field) == pytest.approx(average_field(real, field), rel=tolerance)
    for field in ("intensity_hist", "elongation_hist"):
        # Total variation distance: 0 is equal, 1 is disjoint.
        gap = np.abs(average_field(simulated, field) - average_field(real, field)).sum() / 2
        assert gap < 0.2, (field, gap)
    beyond = [average_field(group, "range_hist")[2:] for group in (real, simulated)]  # a truck fills 2.5-5 m of one
    shares = [hist / hist.sum() for hist in beyond]
    assert np.abs(shares[0] - shares[1]).sum() / 2 < 0.2


@pytest.mark.parametrize("size", [None, 0, 21])
def test_what_is_no_frame_is_named(size: int | None, tmp_path: Path) -> None:
    path = tmp_path / "frame.bin"
    if size is not None:
        path.write_bytes(bytes(size))
    with pytest.raises(UserError, match=r"frame.bin: not a file of float32 rows of 5"):
        measure_real_frame(path)
