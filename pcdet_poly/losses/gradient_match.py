"""A classification loss, scaled so that its gradient on the logits is as large as the plain loss's.

An epsilon makes the gradient of a loss larger or smaller, as a weight does. To ask what the polynomial does beyond
that, both losses must have the same size: the sum of |dL/dlogit| over all logits that count, here brought to that of
the same loss without PolyLoss, on the same logits. Those are this network's: one that the plain loss trains has others,
on which its gradient may be smaller. `match: start` measures once, in the first batch; `match: step` at every batch,
with a running average. What was measured belongs to a run's state: it is saved with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import HeatmapFocalConfig, PolyConfig
from pcdet_poly.distributed import sum_over_processes

DECAY = 0.9  # of the running sums, per batch


class MatchedLoss:
    """A loss times a weight that makes its summed gradient equal the plain loss's.

    Args:
        loss: the loss per logit, unreduced: (logits, target, settings, progress).
        cfg: its settings; `match` is not "none".
    """

    def __init__(self, loss: Callable[..., Tensor], cfg: PolyConfig) -> None:
        self.loss = loss
        self.match_apart = cfg.match_apart
        self.plain = build_plain_settings(cfg)
        self.sums: Tensor | None = None  # (2, 2): sums of the plain loss and of this one, at peaks and on background
        self.is_frozen = False  # measures nothing more, where a finished run is looked at

    def __call__(
        self, logits: Tensor, target: Tensor, cfg: PolyConfig, /, *, progress: float, counted: Tensor | None = None
    ) -> Tensor:
        """Compute the loss per logit, weight applied.

        Args:
            logits: as the loss takes them.
            target: as the loss takes it.
            cfg: settings of the loss.
            progress: share of the training done, in [0, 1].
            counted: bool that broadcasts against the logits, which of them count; None for all.

        Returns:
            Shape of the logits.
        """
        peak = target == 1
        self._measure(logits, target, cfg, progress, peak, counted)
        weights = self.compute_weights()
        return self.loss(logits, target, cfg, progress=progress) * torch.where(peak, weights[0], weights[1])

    def compute_weights(self) -> Tensor:
        """Compute the weights (2,) of peaks and of background; 1 where a part has had no gradient."""
        assert self.sums is not None
        sums = self.sums if self.match_apart else self.sums.sum(1, keepdim=True).expand(2, 2)
        return torch.where(sums[1] > 0, sums[0] / sums[1].clamp(min=1e-30), 1.0)

    def describe_weights(self) -> dict[str, float]:
        """Describe the weights for a log: "peaks" and "background" where they differ, or else "all"."""
        if self.sums is None:
            return {}
        peaks, background = self.compute_weights().tolist()
        return {"peaks": peaks, "background": background} if self.match_apart else {"all": peaks}

    def state_dict(self) -> dict[str, Any]:
        """What was measured so far, as plain types and tensors."""
        return {} if self.sums is None else {"sums": self.sums.cpu()}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from what `state_dict` gave."""
        self.sums = state["sums"].to(device) if "sums" in state else None

    def _measure(
        self, logits: Tensor, target: Tensor, cfg: PolyConfig, progress: float, peak: Tensor, counted: Tensor | None
    ) -> None:
        if self.sums is not None and (self.is_frozen or cfg.match == "start"):
            return
        slopes = [_measure_slope(self.loss, logits, target, each, progress) for each in (self.plain, cfg)]
        kept = slopes if counted is None else [slope * counted for slope in slopes]
        rows = [torch.stack([(slope * peak).sum(), (slope * ~peak).sum()]) for slope in kept]
        found = sum_over_processes(torch.stack(rows))
        self.sums = found if self.sums is None else DECAY * self.sums + (1 - DECAY) * found


def match_gradient(loss: Callable[..., Tensor], cfg: Any) -> Callable[..., Tensor]:
    """Return `loss` as it is, or as a MatchedLoss where its settings ask for one."""
    return MatchedLoss(loss, cfg) if isinstance(cfg, PolyConfig) and cfg.match != "none" else loss


def collect_matched(**losses: Callable[..., Tensor]) -> dict[str, MatchedLoss]:
    """Collect those of the named losses that are matched: their state belongs to the run's."""
    return {name: loss for name, loss in losses.items() if isinstance(loss, MatchedLoss)}


def build_plain_settings(cfg: PolyConfig) -> PolyConfig:
    """Build the settings of the loss without PolyLoss and weights, its focusing exponent `plain_exponent`."""
    exponent = "alpha" if isinstance(cfg, HeatmapFocalConfig) else "gamma"
    changed = {
        "epsilon": 0.0,
        "epsilon_background": None,
        "epsilons": (),
        "num_terms": None,
        "schedule": "constant",
        "applies_to": "both",
        "background_weight": 1.0,
        "balance_epsilon": True,
        exponent: getattr(cfg, exponent) if cfg.plain_exponent is None else cfg.plain_exponent,
    }
    return cfg.model_copy(update={name: value for name, value in changed.items() if name in type(cfg).model_fields})


def _measure_slope(
    loss: Callable[..., Tensor], logits: Tensor, target: Tensor, cfg: PolyConfig, progress: float
) -> Tensor:
    """|d loss / d logit|, of the shape of the logits."""
    x = logits.detach().float().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(loss(x, target, cfg, progress=progress).sum(), x)
    return slope.abs()
