"""Decoding, targets, losses and changes to frames are the published ones: numbers that the peers' own code gave.

The files in tests/assets/peers hold random weights and simulated points. Tolerances stand beside each adapter.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pcdet_poly.array_files import load_npz
from pcdet_poly.experiments.reference import target_kinds
from pcdet_poly.experiments.reference.kinds import ADAPTERS

PEERS = Path(__file__).resolve().parents[2] / "assets" / "peers"
NUM_OUTPUTS = {
    "anchor_targets": 7,
    "augment": 20,
    "center_losses_iou": 11,
    "decode_centerpoint_repo": 10,
    "decode_openpcdet_anchor": 11,
    "decode_openpcdet_center": 20,
    "gt_sampling": 8,
}


@pytest.mark.parametrize("kind", NUM_OUTPUTS)
def test_every_output_is_the_peers(kind: str) -> None:
    outputs = list(ADAPTERS[kind](load_npz(PEERS / f"{kind}_A.npz")))
    assert [output for output in outputs if not output.holds] == []
    assert len(outputs) == NUM_OUTPUTS[kind]


def test_the_comparison_of_targets_notices_a_tolerant_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    config = target_kinds.PointPillarsConfig
    monkeypatch.setattr(target_kinds, "PointPillarsConfig", lambda equal_overlaps: config())
    arrays = load_npz(PEERS / "anchor_targets_A.npz")
    outputs = {output.name: output for output in ADAPTERS["anchor_targets"](arrays)}
    assert not outputs["labels"].holds
