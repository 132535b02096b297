"""A classification loss of our own: the squared distance of probability and heatmap, peaks weighed up."""

from torch import Tensor

from pcdet_poly.config.kinds import LossKind
from pcdet_poly.config.sections.cell_loss import CellLossConfig
from pcdet_poly.config.sections.section import NotNegative


class SquaredConfig(CellLossConfig):
    """What `classification:` of a config may hold: this setting, and weight and normalizer."""

    peak_weight: NotNegative = 10.0
    """Weight of cells with target 1 against all others."""


def squared_loss(logits: Tensor, heatmap: Tensor, cfg: SquaredConfig, *, progress: float) -> Tensor:
    """Return the loss of every cell and class, not summed: the detector divides and weighs it."""
    weight = 1 + (cfg.peak_weight - 1) * (heatmap == 1)
    return weight * (logits.float().sigmoid() - heatmap) ** 2


# A config calls it my_detector.loss:Squared, or squared where this package is installed.
Squared = LossKind(SquaredConfig, squared_loss, targets="heatmap")
