"""Faults seen in public PolyLoss code: each written down here, and our value shown to be the other one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pcdet_poly import losses
from tests.tolerances import FLOAT64_CANCELLED

# Values of optax.losses.poly_loss_cross_entropy, optax 0.2.8 with 64-bit jax 0.10.2 (docs/losses.md says how).
LOGITS = ((1.5, -0.5, 0.25, -2.0), (0.0, 0.0, 0.0, 0.0), (8.0, -3.0, 1.0, 2.5), (-4.0, 6.0, 5.5, -1.0))
LABELS = (0, 2, 0, 2)
OPTAX = {
    (-1.0, 0.0): (0.06165518250440022, 0.6362943611198906, 1.2493261974250158e-05, 0.35198851373782225),
    (-1.0, 0.1): (0.1865364359931067, 0.6362943611198905, 0.513011525946334, 0.7267569299409368),
    (-0.4, 0.0): (0.2484427034366391, 1.0862943611198905, 0.0030066893681335916, 0.7255990109565094),
    (-0.4, 0.1): (0.3996452048321217, 1.0862943611198905, 0.5607063024418775, 1.108006377437755),
    (0.0, 0.0): (0.372967717391465, 1.3862943611198906, 0.0050028201055731525, 0.9746726757689674),
    (1.0, 0.1): (0.8968989987898233, 2.136294361119891, 0.6719941142648121, 1.9975884215969981),
    (2.0, 0.0): (0.9955927871655945, 2.886294361119891, 0.014983473792770957, 2.220040999831258),
    (2.0, 0.1): (1.2520802801881816, 2.886294361119891, 0.7514854084240511, 2.6330041674250286),
}
SOFT_LABELS = ((0.1, 0.2, 0.3, 0.4), (0.25, 0.25, 0.25, 0.25), (0.7, 0.1, 0.1, 0.1), (0.0, 0.5, 0.5, 0.0))
OPTAX_SOFT = {
    -1.0: (1.7029895089978377, 0.6362943611198906, 2.052008623999414, 0.2243749186690418),
    2.0: (4.23792413417872, 2.886294361119891, 2.960991212317892, 1.7252681899688187),
}
X = torch.tensor(LOGITS, dtype=torch.float64)
T = torch.tensor(LABELS)


@pytest.mark.parametrize(("epsilon", "smoothing"), OPTAX)
def test_cross_entropy_agrees_with_optax(epsilon: float, smoothing: float) -> None:
    ours = losses.poly1_cross_entropy(X, T, epsilon=epsilon, label_smoothing=smoothing)
    assert ours.tolist() == pytest.approx(OPTAX[epsilon, smoothing], rel=FLOAT64_CANCELLED)


@pytest.mark.parametrize("epsilon", OPTAX_SOFT)
def test_soft_labels_agree_with_optax(epsilon: float) -> None:
    ours = losses.poly1_cross_entropy(X, torch.tensor(SOFT_LABELS, dtype=torch.float64), epsilon=epsilon)
    assert ours.tolist() == pytest.approx(OPTAX_SOFT[epsilon], rel=FLOAT64_CANCELLED)


def test_alpha_weighs_both_terms() -> None:
    yes, logits = torch.ones(3, dtype=torch.bool), torch.tensor([-2.0, 0.0, 2.0], dtype=torch.float64)
    plain = losses.poly1_focal(logits, yes, gamma=2.0, epsilon=1.0)
    balanced = losses.poly1_focal(logits, yes, gamma=2.0, alpha=0.25, epsilon=1.0)
    torch.testing.assert_close(balanced, 0.25 * plain)
    fault = losses.poly1_focal_unweighted(logits, yes, gamma=2.0, alpha=0.25, epsilon=1.0)
    torch.testing.assert_close(fault, losses.poly1_focal(logits, yes, gamma=2.0, alpha=0.25, epsilon=4.0))


def test_p_t_is_a_probability_not_its_logarithm() -> None:
    fault = F.cross_entropy(X, T, reduction="none") + 1.0 * (1 - F.log_softmax(X, -1).gather(-1, T[:, None])[:, 0])
    ours = losses.poly1_cross_entropy(X, T, epsilon=1.0)
    p_t = X.softmax(-1).gather(-1, T[:, None])[:, 0]
    torch.testing.assert_close(ours, -p_t.log() + 1 - p_t)
    assert (fault - ours > 0.3).all()


def test_smoothing_averages_probabilities_not_their_logarithms() -> None:
    """exp(-smoothed cross-entropy) is the geometric mean of p under the smoothed label."""
    smoothed = F.cross_entropy(X, T, reduction="none", label_smoothing=0.1)
    fault = smoothed + 1.0 * (1 - torch.exp(-smoothed))
    ours = losses.poly1_cross_entropy(X, T, epsilon=1.0, label_smoothing=0.1)
    labels = 0.9 * F.one_hot(T, 4) + 0.1 / 4
    torch.testing.assert_close(ours, smoothed + 1 - (labels * X.softmax(-1)).sum(-1))
    assert ((fault - ours).abs()[[0, 2, 3]] > 0.02).all()
    torch.testing.assert_close(fault[1], ours[1])  # equal only where all p are


def test_soft_labels_mix_losses_rather_than_powers() -> None:
    """1 - p^y (1 - p)^(1 - y) would be a geometric mean once more."""
    x, y = torch.tensor([-2.0, 0.7], dtype=torch.float64), torch.tensor([0.3, 0.8], dtype=torch.float64)
    p = x.sigmoid()
    cross_entropy = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    fault = cross_entropy + 1 - p**y * (1 - p) ** (1 - y)
    ours = losses.poly1_focal(x, y, gamma=0.0, epsilon=1.0)
    torch.testing.assert_close(ours, cross_entropy + 1 - (y * p + (1 - y) * (1 - p)))
    assert ((fault - ours).abs() > 0.02).all()


@pytest.mark.parametrize("name", [name for name in losses.__all__ if name.startswith(("poly", "drop", "gaussian"))])
def test_nothing_is_reduced_behind_the_callers_back(name: str) -> None:
    settings = {"poly1": {"epsilon": 1.0}, "poly_": {"epsilons": (1.0, 0.5)}, "drop_": {"num_terms": 2}}
    kind = name.removeprefix("gaussian_")[:5]
    loss = getattr(losses, name)
    focal = {"gamma": 2.0} if name.endswith(("focal", "unweighted")) and "gaussian" not in name else {}
    balance = {"alpha": 0.25} if name.endswith("unweighted") else {}
    softmax = "cross_entropy" in name or "softmax" in name
    target = T if softmax else torch.full(X.shape, 0.25, dtype=X.dtype)
    if name.endswith("unweighted"):
        target = target > 0
    value = loss(X, target, **settings[kind], **focal, **balance)
    assert value.shape == target.shape
    assert len(value.unique()) > 1
