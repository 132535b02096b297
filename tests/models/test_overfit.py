"""Each detector learns four simulated frames by heart, on a small grid."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.overfit import overfit_bev_ap

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SMALL = ("grid.lower=[-25.6,-25.6,-3]", "grid.upper=[25.6,25.6,5]", "evaluation.within=[-25.6,-25.6,25.6,25.6]")


@pytest.mark.slow
def test_centerpoint_pillar(four_frames: Path) -> None:
    ap = overfit_bev_ap(CONFIGS / "quick.yaml", four_frames, 60, *SMALL, "train.mixed_precision=false")
    assert min(ap.values()) >= 0.95, ap
