"""Shares and means for the log, against sums over cells written out."""

from __future__ import annotations

import pytest
import torch

from pcdet_poly import losses
from pcdet_poly.config.sections.losses import HeatmapFocalConfig, SigmoidFocalConfig
from pcdet_poly.structures import AnchorMaps, AnchorTargets, CenterMaps, CenterTargets
from tests.tolerances import FLOAT32_CANCELLED, FLOAT32_SUM

NONE = torch.zeros(0, dtype=torch.int64)


def _case(heatmap: torch.Tensor, logits: torch.Tensor) -> tuple[CenterMaps, CenterTargets]:
    rest = [torch.zeros(1, channels, *heatmap.shape[2:]) for channels in (2, 1, 3, 2)]
    return CenterMaps(logits, *rest), CenterTargets(heatmap, NONE, NONE, NONE, torch.zeros(0, 8))


def test_without_focusing_the_share_is_p_t() -> None:
    """The paper's law: the first polynomial carries P_t of cross-entropy's gradient."""
    heatmap = torch.zeros(1, 1, 1, 2)
    heatmap[..., 0] = 1
    maps, targets = _case(heatmap, torch.tensor([[[[0.3, 1.7]]]]))
    found = losses.center_first_term_share(maps, targets, HeatmapFocalConfig(alpha=0))
    p_peak, p_background = torch.sigmoid(torch.tensor([0.3, -1.7])).tolist()
    assert found["first_term_share/peaks"] == pytest.approx(p_peak, rel=FLOAT32_SUM)
    assert found["first_term_share/background"] == pytest.approx(p_background, rel=FLOAT32_SUM)
    assert found["p_t/peaks"] == pytest.approx(p_peak, rel=FLOAT32_SUM)
    assert found["p_t/background"] == pytest.approx(p_background, rel=FLOAT32_SUM)


@pytest.mark.parametrize(
    "settings", [{}, {"epsilon": 1.5}, {"epsilon": -1}, {"epsilon": (1, -0.5)}, {"epsilons": (1, 2)}, {"num_terms": 2}]
)
@pytest.mark.parametrize("background_weight", [1.0, 0.5])
def test_share_of_the_gradient_cell_by_cell(settings: dict[str, object], background_weight: float) -> None:
    cfg = HeatmapFocalConfig(background_weight=background_weight, **settings)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 3, 3, generator=generator)
    heatmap = torch.rand(1, 2, 3, 3, generator=generator).round(decimals=1)
    heatmap[0, :, 1, 1] = 1
    maps, targets = _case(heatmap, logits)
    found = losses.center_first_term_share(maps, targets, cfg)
    x = logits.double().requires_grad_()
    whole = torch.autograd.grad(losses.heatmap_loss(x, heatmap.double(), cfg).sum(), x)[0].abs()
    peak = heatmap == 1
    q = torch.where(peak, -logits, logits).double().sigmoid()
    weight = torch.where(peak, 1.0, background_weight * (1 - heatmap.double()) ** 4)
    epsilon = settings.get("epsilons", [settings.get("epsilon", 0.0)])[0]  # type: ignore[index]
    leading = 1 + (torch.tensor(epsilon).reshape(1, 2, 1, 1) if isinstance(epsilon, tuple) else epsilon)
    first = weight * leading * 3 * q**3 * (1 - q)
    for name, mask in (("peaks", peak), ("background", ~peak), ("all", peak | ~peak)):
        assert found[f"first_term_share/{name}"] == pytest.approx(
            (first * mask).sum() / (whole * mask).sum(), rel=FLOAT32_CANCELLED
        )


def test_what_a_batch_lacks_is_left_out() -> None:
    found = losses.center_first_term_share(
        *_case(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)), HeatmapFocalConfig()
    )
    assert set(found) == {"first_term_share/background", "first_term_share/all", "p_t/background"}


def test_leaves_no_trace_on_the_maps() -> None:
    maps, targets = _case(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2, requires_grad=True))
    with torch.no_grad():
        losses.center_first_term_share(maps, targets, HeatmapFocalConfig())
    assert maps.heatmap.grad is None


def _anchor_case(logits: torch.Tensor, ignored: int | None = None) -> tuple[AnchorMaps, AnchorTargets]:
    """One frame; anchor 1 is an object of class 0."""
    num_anchors = logits.shape[1]
    background = torch.ones(1, num_anchors, dtype=torch.bool)
    background[0, [1] if ignored is None else [1, ignored]] = False
    one = torch.tensor([1])
    maps = AnchorMaps(logits, torch.zeros(1, num_anchors, 7), torch.zeros(1, num_anchors, 2))
    return maps, AnchorTargets(background, one * 0, one, one * 0, torch.zeros(1, 7), one * 0)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"epsilon": 1.5},
        {"epsilon": -1},
        {"epsilon": (1, -0.5)},
        {"epsilon": 0.5, "balance_epsilon": False},
        {"epsilons": (1, 2)},
        {"num_terms": 2},
        {"alpha": None, "epsilon": 1},
    ],
)
def test_share_of_an_anchor_heads_gradient_logit_by_logit(settings: dict[str, object]) -> None:
    cfg = SigmoidFocalConfig(background_weight=0.5, **settings)
    logits = torch.randn(1, 6, 2, generator=torch.Generator().manual_seed(0))
    found = losses.anchor_first_term_share(*_anchor_case(logits, ignored=4), cfg)
    right = torch.zeros(1, 6, 2, dtype=torch.bool)
    right[0, 1, 0] = True
    counts = torch.ones(1, 6, 2, dtype=torch.bool)
    counts[0, 4] = False
    x = logits.double().requires_grad_()
    whole = torch.autograd.grad(losses.sigmoid_loss(x, right, cfg).sum(), x)[0].abs()
    q = torch.where(right, -logits, logits).double().sigmoid()
    alpha_t = torch.where(right, 0.25, 0.75).double() if cfg.alpha is not None else torch.ones(1, 6, 2)
    epsilon = torch.tensor(settings.get("epsilons", [settings.get("epsilon", 0.0)])[0])  # type: ignore[index]
    leading = alpha_t + epsilon * (alpha_t if cfg.balance_epsilon else 1)
    first = torch.where(right, 1, 0.5) * leading * 3 * q**3 * (1 - q)
    for name, mask in (("positives", right), ("background", ~right & counts), ("all", counts)):
        assert found[f"first_term_share/{name}"] == pytest.approx(
            (first * mask).sum() / (whole * mask).sum(), rel=FLOAT32_CANCELLED
        )
    assert found["p_t/positives"] == pytest.approx((1 - q)[right].mean(), rel=FLOAT32_SUM)
    assert found["p_t/background"] == pytest.approx((1 - q)[~right & counts].mean(), rel=FLOAT32_SUM)


def test_p_t_of_every_logit_that_counts() -> None:
    logits = torch.randn(1, 6, 2, generator=torch.Generator().manual_seed(0))
    found = losses.p_t_by_part(*_anchor_case(logits, ignored=4))
    p = logits.sigmoid()
    assert found["peaks"].tolist() == pytest.approx([p[0, 1, 0].item()])
    others = [1 - p[0, n, k].item() for n in range(6) for k in range(2) if n != 4 and (n, k) != (1, 0)]
    assert found["background"].tolist() == pytest.approx(others)
    heatmap = torch.tensor([[[[1.0, 0.3]]]])
    found = losses.p_t_by_part(*_case(heatmap, torch.tensor([[[[2.0, -1.0]]]])))
    assert found["peaks"].tolist() == pytest.approx([torch.tensor(2.0).sigmoid().item()])
    assert found["background"].tolist() == pytest.approx([torch.tensor(1.0).sigmoid().item()])
