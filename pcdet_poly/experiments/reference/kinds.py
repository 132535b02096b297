"""The table of kinds: which adapter runs our code on a reference file.

A file's kind is its name without what follows the last underscore: `mean_vfe_A.npz` is of kind `mean_vfe`.
An adapter takes the file's arrays by name and yields an `Output` for each that our code has to reproduce.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pcdet_poly.errors import UserError, suggest_word
from pcdet_poly.experiments.reference.arrays import Arrays
from pcdet_poly.experiments.reference.decoding_kinds import (
    compare_centerpoint_repo,
    compare_openpcdet_anchor,
    compare_openpcdet_center,
)
from pcdet_poly.experiments.reference.frame_kinds import (
    compare_augmentation,
    compare_pasting,
    compare_pillarnext_augmentation,
)
from pcdet_poly.experiments.reference.optimizer_kind import compare_one_cycle, compare_one_cycle_of_torch
from pcdet_poly.experiments.reference.output import Output
from pcdet_poly.experiments.reference.pillar_kinds import (
    compare_dynamic_pillars,
    compare_feature_nets,
    compare_hard_pillars,
    compare_pillarnext_reader,
    compare_voxel_means,
)
from pcdet_poly.experiments.reference.pillarnext_parts import (
    compare_pillarnext_backbone,
    compare_pillarnext_head,
    compare_pillarnext_neck,
)
from pcdet_poly.experiments.reference.pillarnext_results import (
    compare_pillarnext_decoding,
    compare_pillarnext_losses,
    compare_pillarnext_targets,
)
from pcdet_poly.experiments.reference.target_kinds import compare_anchor_targets, compare_center_losses

Adapter = Callable[[Arrays], Iterable[Output]]

ADAPTERS: dict[str, Adapter] = {
    "adam_onecycle": compare_one_cycle,
    "anchor_targets": compare_anchor_targets,
    "augment": compare_augmentation,
    "center_losses_iou": compare_center_losses,
    "decode_centerpoint_repo": compare_centerpoint_repo,
    "decode_openpcdet_anchor": compare_openpcdet_anchor,
    "decode_openpcdet_center": compare_openpcdet_center,
    "dyn_pillar_vfe": compare_dynamic_pillars,
    "gt_sampling": compare_pasting,
    "mean_vfe": compare_voxel_means,
    "pillar_feature_net": compare_feature_nets,
    "pillar_vfe": compare_hard_pillars,
    "pillarnext_augment": compare_pillarnext_augmentation,
    "pillarnext_backbone": compare_pillarnext_backbone,
    "pillarnext_decode": compare_pillarnext_decoding,
    "pillarnext_head": compare_pillarnext_head,
    "pillarnext_loss": compare_pillarnext_losses,
    "pillarnext_neck": compare_pillarnext_neck,
    "pillarnext_reader": compare_pillarnext_reader,
    "pillarnext_schedule": compare_one_cycle_of_torch,
    "pillarnext_targets": compare_pillarnext_targets,
}


def find_kind(file: Path) -> str:
    """Return the kind of a reference file. Raises UserError where its name tells none."""
    kind = file.stem if file.stem in ADAPTERS else file.stem.rpartition("_")[0]
    if kind not in ADAPTERS:
        nearest = suggest_word(kind or file.stem, tuple(ADAPTERS)) or f"; known kinds: {', '.join(ADAPTERS)}"
        raise UserError(f"{file}: the name of a reference file begins with its kind, as in mean_vfe_A.npz{nearest}")
    return kind
