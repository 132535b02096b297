"""The digits study: what it measures, on cases worked out by hand, and its command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pcdet_poly.commands.main import call_command
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.digits.arms import BASELINE, Arm, list_arms
from pcdet_poly.experiments.digits.data import split_digits
from pcdet_poly.experiments.digits.network import build_residual_net
from pcdet_poly.experiments.digits.results import build_rows, estimate_detectable, estimate_difference
from pcdet_poly.experiments.digits.train import (
    FirstShare,
    TrainingOutcome,
    TrainingSchedule,
    measure_first_share,
    train_arm,
)
from tests.tolerances import FLOAT64_SUM

SHORT = TrainingSchedule(num_train=200, epochs=2)


def test_a_split_uses_every_digit_once() -> None:
    split = split_digits(3, num_train=500)
    assert split.train_image.shape == (500, 1, 8, 8)
    assert split.test_image.shape == (1297, 1, 8, 8)
    assert split.train_image.min() == 0
    assert split.train_image.max() == 1
    counts = torch.bincount(torch.cat([split.train_label, split.test_label]))
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # as scikit-learn documents them
    assert not torch.equal(split.train_label, split_digits(4, num_train=500).train_label)


def test_a_fresh_network_has_no_opinion() -> None:
    logits = build_residual_net(10)(torch.rand(3, 1, 8, 8))
    assert torch.equal(logits, torch.zeros(3, 10))


def test_the_share_of_the_first_polynomial_is_p_t() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    p_t = logits.double().softmax(-1)[:, 0]
    share = measure_first_share(logits, torch.tensor([0, 0]))
    assert share.measured == pytest.approx(((1 - p_t) * p_t).sum().item() / (1 - p_t).sum().item(), rel=FLOAT64_SUM)
    assert share.expected == pytest.approx(share.measured, rel=FLOAT64_SUM)
    assert share.largest_error < FLOAT64_SUM


def test_one_seed_is_one_outcome() -> None:
    torch.set_num_threads(1)
    first, again = train_arm(BASELINE, 1, SHORT), train_arm(BASELINE, 1, SHORT)
    assert first == again
    assert first != train_arm(BASELINE, 2, SHORT)
    assert first.first_shares[0].measured == pytest.approx(0.1)  # ten classes, no opinion
    assert math.isfinite(first.cross_entropy)


def test_arms_are_the_losses_they_name() -> None:
    logits, label = torch.randn(5, 10), torch.arange(5)
    q = 1 - logits.softmax(-1)[torch.arange(5), label]
    cross_entropy = F.cross_entropy(logits, label, reduction="none")
    torch.testing.assert_close(BASELINE.compute_loss(logits, label), cross_entropy)
    torch.testing.assert_close(Arm(epsilon=2.0).compute_loss(logits, label), cross_entropy + 2 * q)
    torch.testing.assert_close(Arm(num_terms=2).compute_loss(logits, label), q + q**2 / 2)
    names = [arm.name for arm in list_arms()]
    assert names[0] == "cross-entropy"
    assert len(set(names)) == len(names)


def _outcome(accuracy: float) -> TrainingOutcome:
    return TrainingOutcome(accuracy, 0.1, 0.01, 0.9, (FirstShare(0.1, 0.1, 0.0),))


def test_differences_are_paired_by_seed() -> None:
    base = [0.90, 0.94, 0.98]
    better = [_outcome(accuracy + gain) for accuracy, gain in zip(base, (0.01, 0.011, 0.012), strict=True)]
    found = build_rows({BASELINE: [_outcome(accuracy) for accuracy in base], Arm(epsilon=1.0): better})
    assert found[1].difference.mean == pytest.approx(1.1)
    assert found[1].difference.half_width == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-5)  # t, 2 degrees
    assert found[1].accuracy_sd > 3  # the spread over seeds, which pairing takes out


def test_interval_and_power_against_tables() -> None:
    differences = np.array([1.0, 2.0, 3.0, 4.0, 5.0])  # sd 1.5811, error 0.7071
    interval = estimate_difference(differences)
    # Tables have seven digits.
    assert (interval.mean, interval.half_width) == pytest.approx((3, 2.776445 * 0.707107), rel=1e-5)
    assert str(interval) == "+3.00 [+1.04, +4.96]"
    # Tables have seven digits.
    assert estimate_detectable(differences) == pytest.approx((2.776445 + 0.940965) * 0.707107, rel=1e-5)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call_command("digits", ["--output", str(tmp_path), "--quick", "--seeds", "2"]) == 0
    table = (tmp_path / "table.md").read_text()
    assert table in capsys.readouterr().out
    results = json.loads((tmp_path / "results.json").read_text())
    assert [row["arm"] for row in results["rows"]] == [
        "cross-entropy", "Drop-1", "Drop-10", "Poly-1, eps = -1", "Poly-1, eps = 2",
    ]  # fmt: skip
    accuracy = {row["arm"]: row["accuracy"] for row in results["rows"]}
    assert accuracy["cross-entropy"] > accuracy["Drop-1"] + 10  # a tenth of the gradient is not enough
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 2"):
        call_command("digits", ["--output", str(tmp_path), "--seeds", "1"])
