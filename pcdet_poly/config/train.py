"""Settings of the optimisation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pcdet_poly.config.section import Count, Decay, NotNegative, Positive, Section, number_from_text


class TrainConfig(Section):
    """Optimisation."""

    epochs: Count = 30
    """Passes over the training frames."""
    batch_size: Count = 4
    """Frames per step (and process)."""
    optimizer: Literal["adam", "adamw"] = "adamw"
    """Adam with L2 penalty, or with decoupled weight decay (OpenPCDet's one-cycle)."""
    learning_rate: Positive = 3e-3
    """Peak of the one-cycle schedule."""
    weight_decay: NotNegative = 0.01
    """Weight decay."""
    momentum: tuple[Decay, Decay] = (0.95, 0.85)
    """Adam's beta1 at the ends and at the peak of the cycle."""
    beta2: Decay = 0.99
    """Adam's beta2 (OpenPCDet's one-cycle has 0.99, not torch's 0.999)."""
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of the steps until the peak."""
    division: Positive = 10.0
    """The cycle starts at learning_rate / division."""
    clip_norm: Positive = 10.0
    """Gradients are scaled down to at most this norm."""
    norm_momentum: Annotated[float, BeforeValidator(number_from_text), Field(gt=0, le=1)] = 0.01
    """Weight of a step's statistics in batch norm's running ones. 0.01 needs thousands of steps; use 0.1 for fewer."""
    mixed_precision: bool = False
    """bfloat16 autocast for the network; losses stay float32."""
    channels_last: bool = True
    """Memory layout of the bird's-eye network; faster on CPUs and tensor cores."""
    compile: bool = False
    """torch.compile the network."""
    seed: int = Field(default=0, ge=0)
    """Seed of weights, data order and augmentation."""
    threads: int = Field(default=0, ge=0)
    """CPU threads for torch; 0 leaves torch's own choice."""
    log_every: Count = 10
    """Steps between log lines."""
    save_every: Count = 1
    """Epochs between checkpoints; the last epoch is always saved."""
    keep_checkpoints: Count = 2
    """Newest checkpoints to keep."""
    evaluate_every: int = Field(default=0, ge=0)
    """Epochs between evaluations during training; 0 evaluates only at the end."""
