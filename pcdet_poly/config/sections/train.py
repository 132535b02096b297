"""Settings of the optimisation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pcdet_poly.config.sections.section import Count, Decay, NotNegative, Positive, Section, parse_number

Arithmetic = Literal[False, "bf16", "fp16"]
MixedPrecision = Arithmetic | Literal["auto"]


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
    """Forward passes per step: the gradients are those of a batch that many times larger, in the memory of one."""
    optimizer: Literal["adam", "adamw"] = "adamw"
    """Adam with an L2 penalty (`adam`), or with decoupled weight decay (`adamw`, as OpenPCDet's one-cycle has it)."""
    schedule: Literal["one_cycle", "one_cycle_torch", "cosine"] = "one_cycle"
    """Learning rate over the training. `one_cycle`: a cosine up to the peak and one down, beta1 the other way;
    `cosine`: a line up and a cosine down to 0, as RSN and lingvo have it."""
    learning_rate: Positive = 3e-3
    """Learning rate at the peak of the schedule."""
    weight_decay: NotNegative = 0.01
    """Factor of the weight decay or, for `adam`, of the L2 penalty."""
    momentum: tuple[Decay, Decay] = (0.95, 0.85)
    """Adam's beta1 at the ends and at the peak of the cycle; `cosine` keeps the first."""
    beta2: Decay = 0.99
    """Adam's beta2 (OpenPCDet's one-cycle has 0.99, not torch's 0.999)."""
    warmup: Annotated[float, BeforeValidator(parse_number), Field(ge=0, lt=1)] | Count = 0.4
    """Steps until the peak of the schedule: their share of all steps, or their number."""
    division: Positive = 10.0
    """The schedule starts at learning_rate divided by this."""
    clip_norm: Positive = 10.0
    """Largest norm of the gradients, which are scaled down to it."""
    norm_momentum: Annotated[float, BeforeValidator(parse_number), Field(gt=0, le=1)] | None = 0.01
    """Weight of a step in batch norm's running statistics. 0.01 needs thousands of steps; use 0.1 for fewer. null: as
    published, 0.01 in encoders and backbones and 0.1 in the centre head."""
    sync_norm: bool = True
    """Batch norm uses the batches of all processes (torchrun), not of each alone."""
    ema: Annotated[float, BeforeValidator(parse_number), Field(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average of the weights, which is what gets evaluated. lingvo has 0.9999."""
    initial_weights: str | None = None
    """Checkpoint or run folder to start from: every tensor that fits by name and shape."""
    mixed_precision: Annotated[MixedPrecision, BeforeValidator(_normalize_precision)] = False
    """Arithmetic of the network: float32 (false), bf16 (or true), or fp16 with a loss scale; losses stay float32.
    `auto` measures for a second whether float32 or bf16 is faster here, and the run keeps the answer."""
    channels_last: bool = True
    """Store the bird's-eye network's images channels last, which is faster on CPUs and tensor cores."""
    compile: bool = False
    """Run the network through torch.compile."""
    checkpoint_activations: bool = False
    """Compute the backbone's stages a second time in the backward pass instead of storing what is inside them."""
    seed: int = Field(default=0, ge=0)
    """Seed of first weights, order of frames and augmentation."""
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
    """Mirror of log.jsonl besides TensorBoard: Weights & Biases or MLflow (pip install wandb, mlflow)."""
    tracker_project: Annotated[str, Field(min_length=1)] = "pcdet_poly"
    """Project (Weights & Biases) or experiment (MLflow) that the run appears in."""
