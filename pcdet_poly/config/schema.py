"""Every setting of an experiment. Each section stands in a file of its own beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import model_validator

from pcdet_poly.config.kind_field import KindField
from pcdet_poly.config.kind_tables import DETECTORS, LOSSES
from pcdet_poly.config.sections.cell_loss import LossSection
from pcdet_poly.config.sections.centerpoint import CenterHeadConfig, CenterPointPillarConfig
from pcdet_poly.config.sections.data import AugmentConfig, DataConfig, GridConfig, PasteConfig
from pcdet_poly.config.sections.detector import DetectorSection
from pcdet_poly.config.sections.evaluation import EvaluationConfig, MetricsConfig
from pcdet_poly.config.sections.losses import CenterBoxLossConfig, HeatmapFocalConfig
from pcdet_poly.config.sections.output import DecodeConfig, TargetsConfig
from pcdet_poly.config.sections.pointpillars import PointPillarsConfig
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.config.sections.section import Section
from pcdet_poly.config.sections.train import TrainConfig
from pcdet_poly.errors import UserError, suggest_word


class Config(Section):
    """One experiment."""

    data: DataConfig = DataConfig()
    grid: GridConfig = GridConfig()
    model: Annotated[DetectorSection, KindField(DETECTORS)] = CenterPointPillarConfig()
    classification: Annotated[LossSection, KindField(LOSSES, follows_another_setting=True)] = HeatmapFocalConfig()
    regression: CenterBoxLossConfig = CenterBoxLossConfig()
    targets: TargetsConfig = TargetsConfig()
    decode: DecodeConfig = DecodeConfig()
    paste: PasteConfig = PasteConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="before")
    @classmethod
    def _fill_in_kinds(cls, values: Any) -> Any:
        """The model's kind, unless given, is the default's; the classification loss's follows from the model's."""
        if not isinstance(values, Mapping):
            return values
        model, loss = values.get("model", {}), values.get("classification", {})
        if not isinstance(model, Mapping) or not isinstance(loss, Mapping):
            return values  # records, or nonsense: for the fields to judge
        model = {"kind": CenterPointPillarConfig().kind, **model}
        return {**values, "model": model, "classification": {"kind": _find_default_loss(model["kind"]), **loss}}

    @model_validator(mode="before")
    @classmethod
    def _fill_in_thresholds(cls, values: Any) -> Any:
        """Where IoU thresholds are given by class, those of Waymo's classes that are left out are the official ones."""
        if not isinstance(values, Mapping):
            return values
        evaluation, data = values.get("evaluation"), values.get("data", {})
        metrics = evaluation.get("metrics") if isinstance(evaluation, Mapping) else None
        if not isinstance(evaluation, Mapping) or not isinstance(metrics, Mapping) or not isinstance(data, Mapping):
            return values
        given = metrics.get("iou_thresholds")
        if not isinstance(given, Mapping):
            return values
        classes = data.get("classes", DataConfig().classes)
        default = MetricsConfig()
        official = dict(zip(default.type_names, default.type_thresholds, strict=True))
        missing = {name: official[name] for name in official if name in classes and name not in given}
        filled = {**metrics, "iou_thresholds": {**given, **missing}}
        return {**values, "evaluation": {**evaluation, "metrics": filled}}

    @model_validator(mode="after")
    def _check_classes_can_be_measured(self) -> Self:
        known = self.evaluation.metrics.type_names
        for name in self.data.classes:
            if name not in known:
                nearest = suggest_word(name.upper(), known)
                raise ValueError(
                    f"data.classes: {name} is none of {', '.join(known)}{nearest}; a class of your own needs the "
                    f"IoU of a match: evaluation.metrics.iou_thresholds: {{{name}: 0.7}}"
                )
        return self

    @model_validator(mode="after")
    def _check_sizes_agree(self) -> Self:
        if misfit := self.model.explain_misfit(self.grid, self.data.classes):
            raise ValueError(misfit)
        per_class = {
            "decode.peaks": self.decode.peaks,
            "decode.nms_iou": self.decode.nms_iou,
            "decode.circle_radius_m": self.decode.circle_radius_m,
            "decode.iou_weight": self.decode.iou_weight,
            "classification.epsilon": getattr(self.classification, "epsilon", None),
            "classification.epsilon_background": getattr(self.classification, "epsilon_background", None),
            "paste.objects": self.paste.objects if self.paste.bank else None,
            "paste.every": self.paste.every if self.paste.bank else None,
        }
        for key, numbers in per_class.items():
            if isinstance(numbers, tuple) and len(numbers) != len(self.data.classes):
                raise ValueError(f"{key}: {len(numbers)} numbers for {len(self.data.classes)} classes (data.classes)")
        return self

    @model_validator(mode="after")
    def _check_loss_fits(self) -> Self:
        wanted, kind = DETECTORS.find(self.model.kind).loss, self.classification.kind
        if LOSSES.find(kind).targets != LOSSES.find(wanted).targets:
            raise ValueError(
                f"classification.kind = {kind!r}: {self.model.kind} has the loss {wanted!r}; leave kind out"
            )
        return self

    @model_validator(mode="after")
    def _check_sections_are_used(self) -> Self:
        for name in DETECTORS.find(self.model.kind).unused_sections:
            if getattr(self, name) != type(getattr(self, name))():
                raise ValueError(f"{name}: {self.model.kind} has its own under `model`; leave this section out")
        return self

    @model_validator(mode="after")
    def _check_range_images_suffice(self) -> Self:
        if not isinstance(self.model, RsnConfig):
            return self
        if getattr(self.classification, "normalizer", None) == "peaks":
            raise ValueError("classification.normalizer = 'peaks': rsn divides by objects; leave it out")
        if getattr(self.classification, "shared_peaks", "once") != "once":
            raise ValueError("classification.shared_peaks: rsn's peaks are voxels; leave it out")
        if not self.data.elongation or self.data.age != "several_sweeps":
            raise ValueError("data.elongation, data.age: rsn reads both from range images; leave both out")
        if self.paste.bank:
            raise ValueError("paste.bank: a pasted object hides nothing in the range images of rsn; leave paste out")
        return self

    @model_validator(mode="after")
    def _check_outputs_exist(self) -> Self:
        uses = {  # setting -> (is it used, the output that it needs)
            "decode.iou_weight": (self.decode.iou_weight is not None, "iou_branch"),
            "regression.weight_iou": (self.regression.weight_iou != CenterBoxLossConfig().weight_iou, "iou_branch"),
            "regression.weight_velocity": (
                self.regression.weight_velocity != CenterBoxLossConfig().weight_velocity,
                "velocity",
            ),
            "regression.velocity_mean": (self.regression.velocity_mean != "known", "velocity"),
        }
        for key, (used, output) in uses.items():
            if used and not getattr(self.model, output, False):
                raise ValueError(f"{key}: needs model.{output}: true, which a model with a centre head has")
        return self

    @model_validator(mode="after")
    def _check_decoding_fits(self) -> Self:
        """Refuse settings of a centre head's decoding with a detector that has none."""
        if isinstance(self.model, PointPillarsConfig | RsnConfig):
            for name in ("peaks", "candidates"):
                given, default = getattr(self.decode, name), DecodeConfig.model_fields[name].default
                if given != default:
                    raise ValueError(
                        f"decode.{name} = {given!r}: {self.model.kind} has no centre head; "
                        "leave it out, or name another decode.preset"
                    )
            if self.decode.top_k is None:
                raise ValueError(f"decode.top_k: {self.model.kind} needs a number")
        return self

    @model_validator(mode="after")
    def _check_frames_can_be_mirrored(self) -> Self:
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


def _find_default_loss(detector: Any) -> str:
    """Return the loss of a detector; of one that cannot be found, which the field `model` reports, any loss."""
    try:
        return DETECTORS.find(detector).loss
    except (UserError, TypeError):
        return HeatmapFocalConfig().kind
