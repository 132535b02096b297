"""Mixed precision: which arithmetic a network runs in, and the loss scale that float16 needs."""

from __future__ import annotations

import torch
from torch import nn

from pcdet_poly.config.sections.train import MixedPrecision
from pcdet_poly.errors import UserError


def autocast(device: torch.device, kind: MixedPrecision) -> torch.autocast:
    """Return the context for a forward pass in `kind`; that is float32 where `auto` has not been measured."""
    dtype = torch.float16 if kind == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=kind in ("bf16", "fp16"))


def build_scaler(device: torch.device, kind: MixedPrecision) -> torch.amp.GradScaler:
    """Return the loss scale for float16, whose smallest gradients would be 0; it does nothing for other kinds.

    A step whose scaled gradients overflow is skipped, and the scale halved.
    """
    return torch.amp.GradScaler(device.type, enabled=kind == "fp16")


def check_precision(device: torch.device, kind: MixedPrecision) -> None:
    """Raise UserError where torch has no convolutions in `kind` on `device`."""
    network = nn.Conv2d(1, 1, 3).to(device)
    try:
        with autocast(device, kind):
            image = network(torch.zeros(1, 1, 4, 4, device=device))
        image.float().sum().backward()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"train.mixed_precision = {kind}: this torch cannot train in it on {device.type} ({reason}); "
            "use bf16 or false, or another --device"
        ) from None


def check_scale(scaler: torch.amp.GradScaler, step: int) -> None:
    """Raise UserError where gradients overflow without any scale: then no step can be right. Waits for the device."""
    if scaler.is_enabled() and (scale := scaler.get_scale()) < 1:
        raise UserError(
            f"step {step}: the loss scale fell to {scale:g}, step after step was skipped; fp16 is too narrow for this "
            "network or a loss is not finite; set train.mixed_precision to bf16 or false"
        )
