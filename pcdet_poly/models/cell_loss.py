"""The classification loss that a config names, ours or a user's own, as a function of logits and targets."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from pcdet_poly.config.kind_tables import LOSSES
from pcdet_poly.config.plugins import load_function
from pcdet_poly.config.sections.cell_loss import LossSection
from pcdet_poly.errors import UserError
from pcdet_poly.losses.gradient_shares import p_t_by_part


class CellLoss(Protocol):
    """A loss per cell and class, unreduced and without its weight in the total."""

    def __call__(self, logits: Tensor, target: Tensor, cfg: Any, /, *, progress: float) -> Tensor:
        """Return the loss, of the shape of `logits`. `progress`: share of the training done, in [0, 1]."""


def load_cell_loss(cfg: LossSection) -> CellLoss:
    """Return the loss that `cfg.kind` names; one that is not ours is checked at every call.

    Raises:
        UserError: where a user's loss cannot be imported or does not take what heads call it with.
    """
    place = f"classification.kind = {cfg.kind!r}: its loss"
    try:
        loss: CellLoss = load_function(LOSSES.find(cfg.kind).loss, "logits", "targets", cfg, progress=1.0)
    except UserError as error:
        raise UserError(f"{place} {error}") from None
    if cfg.kind in LOSSES.ours:
        return loss

    def call_checked(logits: Tensor, target: Tensor, cfg: Any, /, *, progress: float) -> Tensor:
        value = loss(logits, target, cfg, progress=progress)
        if not isinstance(value, Tensor) or value.shape != logits.shape:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise UserError(f"{place} returned {shape}, where one number per logit is needed: {tuple(logits.shape)}")
        return value

    return call_checked


def observe_probabilities(maps: Any, targets: Any, *, progress: float = 1.0) -> dict[str, float]:
    """Return the mean P_t of positives ("peaks") and of background, which every classification loss has.

    Args:
        maps: what the network returned for a batch.
        targets: what it should have returned.
        progress: share of the training done; not used here.

    Returns:
        "p_t/peaks" and "p_t/background", each where the batch has any.
    """
    parts = p_t_by_part(maps, targets)
    return {f"p_t/{name}": float(values.detach().mean()) for name, values in parts.items() if values.numel()}
