"""Every setting of an experiment. Each section stands in a file of its own beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from pcdet_poly.config.centerpoint import CenterPointPillarConfig, CenterPointVoxelConfig
from pcdet_poly.config.data import AugmentConfig, DataConfig, GridConfig
from pcdet_poly.config.evaluation import EvaluationConfig
from pcdet_poly.config.losses import ClassificationConfig, RegressionConfig, SigmoidFocalConfig
from pcdet_poly.config.output import DecodeConfig, TargetsConfig
from pcdet_poly.config.pointpillars import PointPillarsConfig
from pcdet_poly.config.section import Section
from pcdet_poly.config.train import TrainConfig

ModelConfig = CenterPointPillarConfig | CenterPointVoxelConfig | PointPillarsConfig

# Detectors with anchors; all others have a heatmap.
ANCHOR_MODELS = frozenset({"pointpillars"})


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
            "classification.epsilon": self.classification.epsilon,
            "classification.epsilon_background": self.classification.epsilon_background,
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
        if self.model.kind in ANCHOR_MODELS:
            for name in ("regression", "targets"):
                if getattr(self, name) != type(getattr(self, name))():
                    raise ValueError(f"{name}: {self.model.kind} has its own under `model`; leave this section out")
        return self


def loss_kind(model_kind: str) -> str:
    """`classification.kind` of a detector."""
    return "sigmoid" if model_kind in ANCHOR_MODELS else "heatmap"
