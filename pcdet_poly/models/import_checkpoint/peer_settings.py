"""Weights of another project -> the settings with which our network is that project's, each with its reason.

Names and shapes tell the project, the head and its branches. They do not tell how points become the inputs of the
encoder: OpenPCDet's PillarVFE and DynPillarVFE, for one, have the same. That has to be said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.centerpoint import CenterHeadConfig, CenterPointVoxelConfig
from pcdet_poly.config.sections.losses import HeatmapFocalConfig
from pcdet_poly.config.sections.pillars import PillarsConfig
from pcdet_poly.config.sections.pointpillars import PointPillarsConfig
from pcdet_poly.errors import UserError

PILLAR_POINTS: int = PillarsConfig.model_fields["max_points"].default
VOXEL_POINTS = 5  # that a mean is over in both projects' Waymo configs
_ENCODERS = {
    ("OpenPCDet", "pillars"): ("PillarVFE", "DynPillarVFE"),
    ("OpenPCDet", "voxels"): ("MeanVFE", "DynMeanVFE"),
    ("CenterPoint", "pillars"): ("PillarFeatureNet", None),
    ("CenterPoint", "voxels"): ("VoxelFeatureExtractorV3", "DynamicVoxelEncoder"),
    ("PillarNeXt", "pillars"): (None, "PillarFeatureNet"),
}


@dataclass(frozen=True)
class Decision:
    """One setting of the run's config, and why it has its value."""

    setting: str
    value: str  # as on the command line
    reason: str
    changes: bool = True  # False: the config has it already

    @property
    def override(self) -> str:
        """`section.key=value`."""
        return f"{self.setting}={self.value}"


class UntoldEncoderError(UserError):
    """Nothing tells which of two encoders wrote the weights."""

    def __init__(self, hard: str, dynamic: str) -> None:
        self.question = f"{hard} (hard) and {dynamic} (dynamic) have weights of the same names and shapes"
        super().__init__(f"{self.question}; say which with --encoder hard or --encoder dynamic")


def decide_settings(
    project: str, names: Collection[str], config: Config, encoder: str | None, given: Collection[str]
) -> list[Decision]:
    """Decide the settings that make our network the one that wrote the weights.

    Args:
        project: "OpenPCDet", "CenterPoint" or "PillarNeXt".
        names: of the tensors.
        config: of the same model, as the user named it, with the user's overrides.
        encoder: "hard" or "dynamic" where the user says so.
        given: settings that the user gave, such as "model.encoder"; they stay.

    Raises:
        UntoldEncoderError: names and shapes cannot tell the encoder, and neither `encoder` nor the config does.
        UserError: `encoder` is one that the project does not have.
    """
    decided = [
        *_decide_encoder(project, config, encoder, given),
        *_decide_points(project, config),
        *_decide_branches(names, config),
        _decide_decoding(project, names, config),
        *_decide_targets(project, config),
    ]
    return [
        Decision(one.setting, _read_value(config, one.setting), "given on the command line", changes=False)
        if one.setting in given
        else one
        for one in decided
    ]


def describe_untold(config: Config) -> list[str]:
    """Return lines about what no weight tells, and the run takes from the config."""
    (nx, ny, nz), grid = config.grid.shape, config.grid
    size = " x ".join(f"{edge:g}" for edge in grid.cell)
    more = [name for name, used in (("elongation", config.data.elongation), ("age", config.data.has_age)) if used]
    columns = ", ".join(["x, y, z, tanh(intensity)", *more])
    return [
        f"grid: {nx} x {ny} x {nz} cells of {size} m from {list(grid.lower)} to {list(grid.upper)}, the config's",
        f"points: {config.data.point_channels} columns ({columns}), the config's",
        f"sweeps: {config.data.sweeps}, the config's",
        f"classes: {', '.join(config.data.classes)}, in the config's order",
    ]


def _decide_encoder(project: str, config: Config, encoder: str | None, given: Collection[str]) -> Iterator[Decision]:
    model = config.model
    if isinstance(model, PillarsConfig):
        wanted = _choose(project, "pillars", model.encoder, encoder, "model.encoder" in given)
        value = {"hard": "hard", "dynamic": "dynamic_any_height"}[wanted]
        yield Decision("model.encoder", value, _explain(project, "pillars", wanted, encoder), model.encoder != value)
        if wanted == "hard":
            yield Decision("model.max_points", str(model.max_points), "rows of a pillar; weights do not tell", False)
        elif model.encoder == "hard":
            yield Decision("model.max_points", str(PILLAR_POINTS), "not used; the setting's default")
        offsets = "xyz" if project == "OpenPCDet" else "xy"
        reason = f"inputs of {project}'s pillars"
        yield Decision("model.centre_offsets", offsets, reason, model.centre_offsets != offsets)
    elif isinstance(model, CenterPointVoxelConfig) and (project, "voxels") in _ENCODERS:
        mode = "hard" if model.max_points else "dynamic"
        wanted = _choose(project, "voxels", mode, encoder, "model.max_points" in given)
        number = (model.max_points or VOXEL_POINTS) if wanted == "hard" else None
        reason = _explain(project, "voxels", wanted, encoder)
        yield Decision("model.max_points", str(number or "null"), reason, model.max_points != number)


def _choose(project: str, what: str, configured: str, encoder: str | None, is_given: bool) -> str:
    """Return "hard" or "dynamic"; "dynamic" in our own configs says nothing about another project."""
    hard, dynamic = _ENCODERS[project, what]
    if encoder == "dynamic" and dynamic is None:
        raise UserError(f"--encoder dynamic: {project} has no dynamic pillars; its {hard} is hard")
    if encoder == "hard" and hard is None:
        raise UserError(f"--encoder hard: {project} has no hard pillars; its {dynamic} is dynamic")
    if encoder:
        return encoder
    if hard is None:
        return "dynamic"
    if dynamic is None or configured == "hard":
        return "hard"
    if configured == "dynamic_any_height" or is_given:
        return "dynamic"
    assert hard
    raise UntoldEncoderError(hard, dynamic)


def _explain(project: str, what: str, wanted: str, encoder: str | None) -> str:
    hard, dynamic = _ENCODERS[project, what]
    both = hard and dynamic
    source = f"--encoder {encoder}" if encoder else "as the config has it" if both else f"{project}'s only one"
    return f"{hard if wanted == 'hard' else dynamic}, {source}"


def _decide_points(project: str, config: Config) -> Iterator[Decision]:
    if project == "PillarNeXt":
        reason = "PillarNeXt's points have their age, 0 with one sweep, in place of the elongation"
        yield Decision("data.elongation", "false", reason, config.data.elongation)
        yield Decision("data.age", "always", reason, config.data.age != "always")


def _decide_branches(names: Collection[str], config: Config) -> Iterator[Decision]:
    model = config.model
    if isinstance(model, CenterHeadConfig):
        for field, branch in (("iou_branch", "iou"), ("velocity", "vel")):
            has = any(f".{branch}." in name for name in names)
            reason = f"the file has {'a' if has else 'no'} branch {branch!r}"
            yield Decision(f"model.{field}", str(has).lower(), reason, getattr(model, field) != has)


def _decide_decoding(project: str, names: Iterable[str], config: Config) -> Decision:
    if not isinstance(config.model, CenterHeadConfig):
        preset = "openpcdet_anchor"
    elif project != "OpenPCDet":
        preset = {"CenterPoint": "centerpoint_repo", "PillarNeXt": "pillarnext"}[project]
    else:
        preset = "openpcdet_center_iou" if any(".iou." in name for name in names) else "openpcdet_center"
    return Decision("decode.preset", preset, f"{project}'s rule for this head", config.decode.preset != preset)


def _decide_targets(project: str, config: Config) -> Iterator[Decision]:
    """Decide how labels become targets, and what the heatmap loss is divided by: for a training that starts here."""
    reason, model, loss = f"{project}'s rule, for training from these weights", config.model, config.classification
    if isinstance(model, CenterHeadConfig):
        border = {"OpenPCDet": "cut", "CenterPoint": "exact", "PillarNeXt": "truncate"}[project]
        yield Decision("targets.border", border, reason, config.targets.border != border)
        if isinstance(loss, HeatmapFocalConfig):
            normalizer = "peaks" if project == "OpenPCDet" else "objects"
            yield Decision("classification.normalizer", normalizer, reason, loss.normalizer != normalizer)
    elif isinstance(model, PointPillarsConfig):
        yield Decision("model.equal_overlaps", "float32", reason, model.equal_overlaps != "float32")


def _read_value(config: Config, setting: str) -> str:
    section, _, key = setting.partition(".")
    return str(getattr(getattr(config, section), key))
