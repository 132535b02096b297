"""Every setting of an experiment: name, unit, default, valid range."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _number_from_text(value: Any) -> Any:
    # PyYAML reads `1e-3` (no dot) as text; people mean the number.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Real = Annotated[float, BeforeValidator(_number_from_text)]
Positive = Annotated[float, BeforeValidator(_number_from_text), Field(gt=0)]
NotNegative = Annotated[float, BeforeValidator(_number_from_text), Field(ge=0)]
Fraction = Annotated[float, BeforeValidator(_number_from_text), Field(ge=0, le=1)]
Decay = Annotated[float, BeforeValidator(_number_from_text), Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of every section: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(Section):
    """Which frames, which classes, which points."""

    train: tuple[str, ...] = ()
    """Frame stores (folders made by data_tools) to train on."""
    val: tuple[str, ...] = ()
    """Frame stores to evaluate on."""
    classes: tuple[str, ...] = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
    """Classes to detect, in the order of the network's outputs."""
    returns: tuple[Literal[1, 2], ...] = (1, 2)
    """LiDAR returns to use."""
    min_points: int = Field(default=1, ge=0)
    """Train on labelled boxes with at least this many LiDAR points."""
    train_every: Count = 1
    """Train on every n-th frame of the concatenated list of frames; 5 is OpenPCDet's `20 %`."""
    val_every: Count = 1
    """Evaluate on every n-th frame of the concatenated list of frames."""
    workers: int = Field(default=2, ge=0)
    """Processes that read and augment frames; 0 reads in the training process."""


class GridConfig(Section):
    """Space the network sees, vehicle frame, and the size of its cells."""

    lower: tuple[Real, Real, Real] = (-74.88, -74.88, -2.0)
    """Smallest x, y, z, metres."""
    upper: tuple[Real, Real, Real] = (74.88, 74.88, 4.0)
    """Largest x, y, z, metres."""
    cell: tuple[Positive, Positive, Positive] = (0.32, 0.32, 6.0)
    """Edge lengths of a cell along x, y, z, metres."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of cells along x, y, z."""
        nx, ny, nz = (round((u - low) / c) for low, u, c in zip(self.lower, self.upper, self.cell, strict=True))
        return nx, ny, nz

    @model_validator(mode="after")
    def _whole_cells(self) -> Self:
        for axis, low, high, cell, count in zip("xyz", self.lower, self.upper, self.cell, self.shape, strict=True):
            if high <= low:
                raise ValueError(f"upper {axis} = {high} must be greater than lower {axis} = {low}")
            if abs(low + count * cell - high) > 1e-3 * cell:
                raise ValueError(f"{axis}: {high} - {low} is not a whole number of cells of {cell} m")
        return self


class AugmentConfig(Section):
    """Random changes to a training frame; the same change to points and boxes."""

    flip_x: bool = True
    """Mirror y (flip along the x axis) in half of the frames."""
    flip_y: bool = True
    """Mirror x (flip along the y axis) in half of the frames."""
    rotation_rad: NotNegative = 0.7853981633974483
    """Rotate about z by an angle uniform in +- this."""
    scale: tuple[Positive, Positive] = (0.95, 1.05)
    """Scale everything by a factor uniform in this interval."""
    translation_m: NotNegative = 0.0
    """Standard deviation of a shift along x, y and z."""
    shuffle: bool = True
    """Put the points into random order."""


class BackboneConfig(Section):
    """Bird's-eye backbone and neck: stages of 3 x 3 convolutions, each brought to one resolution."""

    layers: tuple[Count, ...] = (3, 5, 5)
    """Convolutions per stage after its strided one."""
    strides: tuple[Count, ...] = (1, 2, 2)
    """Stride of each stage."""
    channels: tuple[Count, ...] = (64, 128, 256)
    """Width of each stage."""
    up_strides: tuple[Count, ...] = (1, 2, 4)
    """Upsampling of each stage's output."""
    up_channels: tuple[Count, ...] = (128, 128, 128)
    """Width of each upsampled output; they are concatenated."""

    @property
    def output_stride(self) -> int:
        """Cells of the input grid per cell of the output map."""
        return self.strides[0] // self.up_strides[0]

    @model_validator(mode="after")
    def _one_resolution(self) -> Self:
        sizes = {len(x) for x in (self.layers, self.strides, self.channels, self.up_strides, self.up_channels)}
        if len(sizes) > 1:
            raise ValueError("layers, strides, channels, up_strides and up_channels must have one length")
        stride = 1
        for down, up in zip(self.strides, self.up_strides, strict=True):
            stride *= down
            if stride != up * self.output_stride:
                raise ValueError(f"strides {self.strides} and up_strides {self.up_strides} end at different sizes")
        return self

    @property
    def total_stride(self) -> int:
        """Cells of the input grid per cell of the deepest stage."""
        stride = 1
        for down in self.strides:
            stride *= down
        return stride


class CenterPointPillarConfig(Section):
    """CenterPoint on pillars: dynamic pillar encoder, bird's-eye backbone, centre head."""

    kind: Literal["centerpoint_pillar"] = "centerpoint_pillar"
    """Which detector."""
    encoder_channels: tuple[Count, ...] = (64, 64)
    """Widths of the pillar encoder's layers; the last is the width of the bird's-eye image."""
    backbone: BackboneConfig = BackboneConfig()
    """Backbone and neck."""
    head_width: Count = 64
    """Width of the head's shared convolution and of its branches."""
    prior: Annotated[float, BeforeValidator(_number_from_text), Field(gt=0, lt=1)] = 0.1
    """Score the heatmap starts from; sets the bias of its last layer."""
    iou_branch: bool = False
    """Predict each box's IoU, to rescore detections with."""

    @model_validator(mode="after")
    def _encoder_halves(self) -> Self:
        if odd := [width for width in self.encoder_channels[:-1] if width % 2]:
            raise ValueError(f"encoder_channels: {odd[0]} must be even: half of it is the pillar's maximum")
        return self


ModelConfig = CenterPointPillarConfig


class PolyConfig(Section):
    """PolyLoss coefficients of a classification loss. `epsilon: 0` is the plain loss, through the same code."""

    epsilon: Real | tuple[Real, ...] = 0.0
    """Poly-1: added to the coefficient of the leading polynomial. One number, or one per class. At least -1."""
    epsilon_background: Real | tuple[Real, ...] | None = None
    """The same for background alone; None: as `epsilon`."""
    epsilons: tuple[Real, ...] = Field(default=(), max_length=10)
    """Poly-N, N at most 10: eps_1 to eps_N, added for the powers of 1 - P_t in place of `epsilon`. At least -1/j."""
    applies_to: Literal["both", "positives", "background"] = "both"
    """Where epsilon counts; elsewhere the loss is the plain one."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How epsilon gets from 0 to its value: at once, linearly, or along half a cosine."""
    schedule_until: Annotated[float, BeforeValidator(_number_from_text), Field(gt=0, le=1)] = 1.0
    """Share of the training after which epsilon has its value."""
    num_terms: Count | None = None
    """Drop-N: keep only this many polynomials of the plain loss. None: all."""
    allow_non_monotone: bool = False
    """Accept coefficients below -1/j. Such a loss punishes confidence beyond some P_t: for the curious."""
    background_weight: NotNegative = 1.0
    """Control: weight of background against positives."""
    weight: NotNegative = 1.0
    """Weight of this loss in the total."""

    @model_validator(mode="after")
    def _coefficients_make_sense(self) -> Self:
        one_term = {"epsilon": self.epsilon, "epsilon_background": self.epsilon_background}
        named = {name: value for name, value in one_term.items() if value not in (None, 0.0)}
        if self.num_terms is not None and (named or self.epsilons):
            raise ValueError(
                f"num_terms drops polynomials of the plain loss: leave out {', '.join(named) or 'epsilons'}"
            )
        if self.epsilons and named:
            raise ValueError(f"epsilons takes the place of {', '.join(named)}: name only one of them")
        if self.epsilon_background is not None and self.applies_to != "both":
            raise ValueError(f"epsilon_background together with applies_to: {self.applies_to}: leave out one of them")
        if not self.allow_non_monotone:
            for name, value in one_term.items():
                for number in value if isinstance(value, tuple) else () if value is None else (value,):
                    _refuse_non_monotone(name, number, 1)
            for j, number in enumerate(self.epsilons, start=1):
                _refuse_non_monotone(f"epsilons[{j - 1}]", number, j)
        return self


def _refuse_non_monotone(name: str, number: float, power: int) -> None:
    if number < -1 / power:
        least = "-1" if power == 1 else f"-1/{power}"
        raise ValueError(
            f"{name} = {number:g} is below {least}: the loss can fall below 0 and rise again as P_t nears 1, "
            f"so confident right answers are punished; use at least {least}, or set allow_non_monotone: true"
        )


class ClassificationConfig(PolyConfig):
    """Heatmap loss: Gaussian focal loss with PolyLoss coefficients. `epsilon: 0` is the focal loss."""

    alpha: NotNegative = 2.0
    """Focusing exponent (PolyLoss's gamma); 3 is the control "gamma + 1"."""
    beta: NotNegative = 4.0
    """Exponent of the penalty reduction (1 - y) ** beta around a peak."""
    normalizer: Literal["peaks", "objects"] = "objects"
    """Divide the sum by the number of cells with target 1, or by the number of objects."""


class SigmoidFocalConfig(PolyConfig):
    """Alpha-balanced sigmoid focal loss with PolyLoss coefficients: anchor heads, RSN's segmentation."""

    alpha: Fraction | None = 0.25
    """Weight of positives, 1 - alpha that of background, on both terms. None: no balance."""
    gamma: NotNegative = 2.0
    """Focusing exponent; 0 is cross-entropy, 3 the control "gamma + 1"."""
    balance_epsilon: bool = True
    """False: leave alpha off the epsilon term, as some public ports do. A control, not a recommendation."""

    @model_validator(mode="after")
    def _control_is_poly1(self) -> Self:
        if not self.balance_epsilon and (self.alpha in (None, 0, 1) or self.epsilons or self.num_terms is not None):
            raise ValueError(
                "balance_epsilon: false needs 0 < alpha < 1 and a plain epsilon, no epsilons, no num_terms"
            )
        return self


class RegressionConfig(Section):
    """L1 loss on box codes at object centres."""

    weight: NotNegative = 2.0
    """Weight of this loss in the total."""
    code_weights: tuple[NotNegative, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    """Weights of offset x, offset y, z, length, width, height, sin, cos."""


class TargetsConfig(Section):
    """How labels become heatmaps."""

    min_overlap: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """IoU that a box moved by one Gaussian radius keeps with its object."""
    min_radius: Count = 2
    """Smallest Gaussian radius, cells."""
    radius: Literal["legacy", "corrected"] = "legacy"
    """CornerNet's formula as all public code has it, or with its algebra corrected."""
    max_objects: Count = 500
    """Objects per frame used for training; the nearest are kept."""


class DecodeConfig(Section):
    """From maps to boxes."""

    top_k: Count = 500
    """Peaks kept per frame and class before NMS."""
    score: Fraction = 0.1
    """Smallest score."""
    nms_iou: Annotated[float, Field(gt=0, le=1)] | tuple[float, ...] = 0.7
    """Rotated bird's-eye IoU above which the lower score goes; one number or one per class."""
    max_detections: Count = 500
    """Boxes kept per frame."""


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
    norm_momentum: Annotated[float, BeforeValidator(_number_from_text), Field(gt=0, le=1)] = 0.01
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


class LetConfig(Section):
    """Longitudinal-error-tolerant metrics (LET-3D-AP), for detectors that see depth poorly. arXiv 2206.07705."""

    sensor_location: tuple[Real, Real, Real] = (1.43, 0.0, 2.18)
    """Where lines of sight start, metres in the vehicle frame; the default is the middle of Waymo's cameras."""
    tolerance: Annotated[float, Field(gt=0)] = 0.1
    """Longitudinal error at which a match is worth nothing, as a share of the object's distance."""
    min_tolerance_m: Positive = 0.5
    """Smallest longitudinal tolerance, metres."""
    iou_thresholds: tuple[Positive, Positive, Positive, Positive] = (0.5, 0.3, 0.3, 0.3)
    """Smallest IoU of a match after alignment along the line of sight; vehicle, pedestrian, sign, cyclist."""


class MetricsConfig(Section):
    """Which of Waymo's detection metrics to compute. The default is the official challenge's."""

    breakdowns: tuple[
        Literal["ONE_SHARD", "OBJECT_TYPE", "RANGE", "SIZE", "VELOCITY", "ALL_BUT_SIGN", "CAMERA"], ...
    ] = ("OBJECT_TYPE", "RANGE")
    """Ways to split objects, each into its own rows."""
    levels: tuple[Literal[1, 2], ...] = (1, 2)
    """Difficulty levels: LEVEL_1 leaves missed hard objects out, LEVEL_2 counts them."""
    box_types: tuple[Literal["3D", "BEV", "AA_2D"], ...] = ("3D", "BEV")
    """What overlaps: volumes, footprints, or footprints without their headings."""
    iou_thresholds: tuple[Positive, Positive, Positive, Positive] = (0.7, 0.5, 0.5, 0.5)
    """Smallest IoU of a match: vehicle, pedestrian, sign, cyclist."""
    matcher: Literal["hungarian", "score_first"] = "hungarian"
    """Greatest sum of IoU, or each prediction in descending score takes what is left (with the official tool's bug)."""
    score_cutoffs: tuple[Real, ...] | Count | None = None
    """Scores at which precision and recall are taken. None: 0, 0.01, ... 1. A number n: n estimated from the scores."""
    recall_delta: Annotated[float, BeforeValidator(_number_from_text), Field(gt=0, le=1)] = 0.05
    """Largest step in recall when the curve is integrated."""
    min_precision: Fraction = 0.0
    """Precisions below this count as 0."""
    min_heading_accuracy: Real = -1.0
    """Matches whose heading accuracy (1 equal, 0 opposite) is not above this are not counted."""
    let: LetConfig | None = None
    """Add LET-3D-AP, with its own thresholds."""


class SubmissionConfig(Section):
    """What goes into a file for Waymo's servers."""

    max_boxes: Count = 200
    """Boxes per frame; the best scores are kept. Waymo's challenges take at most 200."""
    min_score: Real = 0.0
    """Smallest score."""
    account_name: str = ""
    """E-mail address registered with Waymo."""
    unique_method_name: str = ""
    """Name of the method, at most 25 characters."""
    authors: tuple[str, ...] = ()
    """Names of the authors."""
    affiliation: str = ""
    """Where they work."""
    description: str = ""
    """What the method does."""
    method_link: str = ""
    """Link to a paper or code."""
    past_frames: int = Field(default=0, ge=0)
    """Earlier frames that each prediction has used."""
    latency_s: NotNegative = 0.0
    """Seconds per frame."""


class EvaluationConfig(Section):
    """Waymo's detection metrics."""

    metrics: MetricsConfig = MetricsConfig()
    """Which metrics."""
    within: tuple[Real, Real, Real, Real] | None = None
    """x and y limits (x0, y0, x1, y1), metres: boxes with a centre outside are ignored on both sides. None: all."""
    batch_size: Count = 4
    """Frames per forward pass."""
    pictures: int = Field(default=4, ge=0)
    """Frames drawn as bird's-eye PNGs."""
    picture_score: Fraction = 0.3
    """Smallest score drawn in pictures."""
    best_by: Literal["3D", "BEV"] = "3D"
    """Whose mean LEVEL_2 APH over the classes decides which checkpoint is the best."""


class Config(Section):
    """One experiment."""

    data: DataConfig = DataConfig()
    grid: GridConfig = GridConfig()
    model: ModelConfig = CenterPointPillarConfig()
    classification: ClassificationConfig = ClassificationConfig()
    regression: RegressionConfig = RegressionConfig()
    targets: TargetsConfig = TargetsConfig()
    decode: DecodeConfig = DecodeConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        nx, ny, _ = self.grid.shape
        stride = self.model.backbone.total_stride
        if nx % stride or ny % stride:
            raise ValueError(f"grid: {nx} x {ny} cells are not a multiple of the backbone's total stride {stride}")
        per_class = {
            "decode.nms_iou": self.decode.nms_iou,
            "classification.epsilon": self.classification.epsilon,
            "classification.epsilon_background": self.classification.epsilon_background,
        }
        for key, numbers in per_class.items():
            if isinstance(numbers, tuple) and len(numbers) != len(self.data.classes):
                raise ValueError(f"{key}: {len(numbers)} numbers for {len(self.data.classes)} classes")
        return self
