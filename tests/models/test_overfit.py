"""CenterPoint learns four simulated frames by heart, on a small grid."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.overfit import overfit_bev_ap

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NEAR = ("grid.lower=[-13.44,-13.44,-3]", "grid.upper=[13.44,13.44,5]", "evaluation.within=[-13.44,-13.44,13.44,13.44]")


@pytest.mark.slow
def test_centerpoint_pillar(four_frames: Path) -> None:
    # Two pedestrians walk 1.09 m apart. Of two centres in neighbouring cells only one is a peak, so the
    # output needs cells of at most half that: 0.48 m (quick.yaml's 0.64 m lose one of them, pedestrian AP 0.875).
    near = (*NEAR, "grid.cell=[0.24,0.24,8]", "train.mixed_precision=false")
    ap = overfit_bev_ap(CONFIGS / "quick.yaml", four_frames, 36, *near, one_order=True)
    assert len(ap) == 3
    assert min(ap.values()) >= 0.95, ap


@pytest.mark.slow
def test_centerpoint_voxel(four_frames: Path) -> None:
    slim = (  # the output's cells are 0.48 m here too
        "grid.cell=[0.24,0.24,0.25]",
        "model.residual=true",
        "model.channels=[16,32]",
        "model.layers=[1,1]",
        "model.out_channels=16",
        "model.backbone.channels=[48,96]",
        "train.mixed_precision=false",
    )
    ap = overfit_bev_ap(CONFIGS / "simulated_voxel.yaml", four_frames, 30, *NEAR, *slim, one_order=True)
    assert len(ap) == 3
    assert min(ap.values()) >= 0.95, ap
