"""Settings of the optimisation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pcdet_poly.config.sections.section import Count, Decay, NotNegative, Positive, Section, parse_number

MixedPrecision = Literal[False, "bf16", "fp16"]


def _normalize_precision(value: Any) -> Any:
    return "bf16" if value is True else value


class TrainConfig(Section):
    """Optimisation."""

    epochs: Count = 30
    """Passes over the training frames."""
    steps: Count | None = None
    """Length of the training in steps, in place of epochs."""
    batch_size: Count = 4
    """Frames per forward pass and process."""
    accumulate: Count = 1
    """Forward passes per step: gradients of a batch that many times larger, in the memory of one."""
    optimizer: Literal["adam", "adamw"] = "adamw"
    """Adam with L2 penalty, or with decoupled weight decay (OpenPCDet's one-cycle)."""
    schedule: Literal["one_cycle", "cosine"] = "one_cycle"
    """Cosines up to the peak and down again, beta1 the other way; or a line up and a cosine down to 0 (RSN, lingvo)."""
    learning_rate: Positive = 3e-3
    """Peak of the schedule."""
    weight_decay: NotNegative = 0.01
    """Weight decay."""
    momentum: tuple[Decay, Decay] = (0.95, 0.85)
    """Adam's beta1 at the ends and at the peak of the cycle; `cosine` keeps the first."""
    beta2: Decay = 0.99
    """Adam's beta2 (OpenPCDet's one-cycle has 0.99, not torch's 0.999)."""
    warmup: Annotated[float, BeforeValidator(parse_number), Field(ge=0, lt=1)] | Count = 0.4
    """Steps until the peak: a share of all, or their number."""
    division: Positive = 10.0
    """The schedule starts at learning_rate / division."""
    clip_norm: Positive = 10.0
    """Gradients are scaled down to at most this norm."""
    norm_momentum: Annotated[float, BeforeValidator(parse_number), Field(gt=0, le=1)] = 0.01
    """Weight of a step's statistics in batch norm's running ones. 0.01 needs thousands of steps; use 0.1 for fewer."""
    sync_norm: bool = True
    """Batch norm over the batches of all processes (torchrun), not of each alone."""
    ema: Annotated[float, BeforeValidator(parse_number), Field(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average of the weights, which is what gets evaluated. lingvo has 0.9999."""
    initial_weights: str | None = None
    """Checkpoint or run folder to start from: every tensor that fits by name and shape."""
    mixed_precision: Annotated[MixedPrecision, BeforeValidator(_normalize_precision)] = False
    """Autocast of the network: bf16 (or true), or fp16 with a loss scale; losses stay float32."""
    channels_last: bool = True
    """Memory layout of the bird's-eye network; faster on CPUs and tensor cores."""
    compile: bool = False
    """torch.compile the network."""
    checkpoint_activations: bool = False
    """Compute the backbone's stages a second time in the backward pass instead of storing what is inside them."""
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
    tracker: Literal["none", "wandb", "mlflow"] = "none"
    """Where to mirror log.jsonl, besides TensorBoard: Weights & Biases or MLflow (pip install wandb, mlflow)."""
    tracker_project: Annotated[str, Field(min_length=1)] = "pcdet_poly"
    """Project (Weights & Biases) or experiment (MLflow) that the run appears in."""
