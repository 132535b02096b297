"""Which runs may train in lockstep: those that read the same batches and compare with the same targets."""

from __future__ import annotations

from typing import Any

from pcdet_poly.config.schema import Config
from pcdet_poly.engine.checkpoint import config_values

# Settings that touch neither the frames, nor the targets, nor the network's shape.
_LOSSES = ("classification", "regression")
_OPTIMIZATION = (
    *("optimizer", "schedule", "learning_rate", "weight_decay", "momentum", "beta2", "warmup", "division"),
    *("clip_norm", "norm_momentum", "ema", "initial_weights", "mixed_precision"),
    *("log_every", "save_every", "keep_checkpoints", "evaluate_every", "tracker", "tracker_project"),
)


def describe_shared_settings(config: Config) -> dict[str, Any]:
    """Return the settings, as plain types, that runs in lockstep have in common: not of losses and optimiser."""
    values = {section: dict(settings) for section, settings in config_values(config).items()}
    for section in _LOSSES:
        values.pop(section)
    for name in _OPTIMIZATION:
        values["train"].pop(name)
    values["model"].pop("segmentation", None)  # a loss, too
    return values
