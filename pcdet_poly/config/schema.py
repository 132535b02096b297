"""Every setting of an experiment. Each section stands in a file of its own beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from pcdet_poly.config.sections.centerpoint import CenterHeadConfig, CenterPointPillarConfig, CenterPointVoxelConfig
from pcdet_poly.config.sections.data import AugmentConfig, DataConfig, GridConfig, PasteConfig
from pcdet_poly.config.sections.evaluation import EvaluationConfig
from pcdet_poly.config.sections.losses import ClassificationConfig, RegressionConfig, SigmoidFocalConfig
from pcdet_poly.config.sections.output import DecodeConfig, TargetsConfig
from pcdet_poly.config.sections.pointpillars import PointPillarsConfig
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.config.sections.section import Section
from pcdet_poly.config.sections.train import TrainConfig

ModelConfig = CenterPointPillarConfig | CenterPointVoxelConfig | PointPillarsConfig | RsnConfig

# Detectors with anchors; all others have a heatmap.
ANCHOR_MODELS = frozenset({"pointpillars"})
# Detectors whose targets and box losses have their settings under `model`.
OWN_TARGETS = ANCHOR_MODELS | {"rsn"}


class Config(Section):
    """One experiment."""

    data: DataConfig = DataConfig()
    grid: GridConfig = GridConfig()
    model: Annotated[ModelConfig, Field(discriminator="kind")] = CenterPointPillarConfig()
    classification: Annotated[ClassificationConfig | SigmoidFocalConfig, Field(discriminator="kind")] = (
        ClassificationConfig()
    )
    regression: RegressionConfig = RegressionConfig()
    targets: TargetsConfig = TargetsConfig()
    decode: DecodeConfig = DecodeConfig()
    paste: PasteConfig = PasteConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="before")
    @classmethod
    def _kinds(cls, values: Any) -> Any:
        """The model's kind, unless given, is the default's; the classification loss's follows from the model's."""
        if not isinstance(values, Mapping):
            return values
        model, loss = values.get("model", {}), values.get("classification", {})
        if not isinstance(model, Mapping) or not isinstance(loss, Mapping):
            return values  # records, or nonsense: for the fields to judge
        model = {"kind": CenterPointPillarConfig().kind, **model}
        return {**values, "model": model, "classification": {"kind": loss_kind(model["kind"]), **loss}}

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if problem := self.model.problem_with(self.grid, self.data.classes):
            raise ValueError(problem)
        per_class = {
            "decode.nms_iou": self.decode.nms_iou,
            "decode.circle_radius_m": self.decode.circle_radius_m,
            "decode.iou_weight": self.decode.iou_weight,
            "classification.epsilon": self.classification.epsilon,
            "classification.epsilon_background": self.classification.epsilon_background,
            "paste.objects": self.paste.objects if self.paste.bank else None,
        }
        for key, numbers in per_class.items():
            if isinstance(numbers, tuple) and len(numbers) != len(self.data.classes):
                raise ValueError(f"{key}: {len(numbers)} numbers for {len(self.data.classes)} classes")
        return self

    @model_validator(mode="after")
    def _sections_are_used(self) -> Self:
        if self.classification.kind != loss_kind(self.model.kind):
            raise ValueError(
                f"classification.kind = {self.classification.kind!r}: {self.model.kind} has the loss "
                f"{loss_kind(self.model.kind)!r}; leave kind out"
            )
        if self.model.kind in OWN_TARGETS:
            for name in ("regression", "targets"):
                if getattr(self, name) != type(getattr(self, name))():
                    raise ValueError(f"{name}: {self.model.kind} has its own under `model`; leave this section out")
        return self

    @model_validator(mode="after")
    def _range_images_are_served(self) -> Self:
        if not isinstance(self.model, RsnConfig):
            return self
        if self.classification.normalizer == "peaks":  # type: ignore[union-attr]
            raise ValueError("classification.normalizer = 'peaks': rsn divides by objects; leave it out")
        if self.paste.bank:
            raise ValueError("paste.bank: a pasted object hides nothing in the range images of rsn; leave paste out")
        return self

    @model_validator(mode="after")
    def _outputs_exist(self) -> Self:
        uses = {  # setting -> (is it used, the output that it needs)
            "decode.iou_weight": (self.decode.iou_weight is not None, "iou_branch"),
            "regression.weight_iou": (self.regression.weight_iou != RegressionConfig().weight_iou, "iou_branch"),
            "regression.weight_velocity": (
                self.regression.weight_velocity != RegressionConfig().weight_velocity,
                "velocity",
            ),
        }
        for key, (used, output) in uses.items():
            if used and not getattr(self.model, output, False):
                raise ValueError(f"{key}: needs model.{output}: true, which a model with a centre head has")
        return self

    @model_validator(mode="after")
    def _frames_can_be_mirrored(self) -> Self:
        flips = self.evaluation.test_time_flips
        if flips == "none":
            return self
        if not isinstance(self.model, CenterHeadConfig):
            raise ValueError(
                f"evaluation.test_time_flips: the maps of {self.model.kind} cannot be mirrored; write none"
            )
        for flip, axis in (("x", 1), ("y", 0)):  # mirrored along x, y changes its sign
            if flip in flips and self.grid.lower[axis] != -self.grid.upper[axis]:
                raise ValueError(
                    f"evaluation.test_time_flips = {flips!r}: the grid is not its own mirror image along {'xy'[axis]}: "
                    f"{self.grid.lower[axis]:g} to {self.grid.upper[axis]:g} m"
                )
        return self


def loss_kind(model_kind: str) -> str:
    """`classification.kind` of a detector."""
    return "sigmoid" if model_kind in ANCHOR_MODELS else "heatmap"
