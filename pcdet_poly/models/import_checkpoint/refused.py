"""Networks whose weights are not accepted, by the names of their tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pcdet_poly.errors import UserError

_REFUSED = (
    (
        r"(pts_)?(voxel_encoder|middle_encoder)\..*|pts_(backbone|neck|bbox_head)\..*",
        "mmdetection3d's network, whose anchors, headings and box codes differ from OpenPCDet's",
    ),
    (r"backbone\.(stage|layer)\d.*", "PillarNeXt's dense backbone, where ours is its sparse one"),
    (r"(roi_head|point_head|pfe|second_stage|single_det)\..*", "a second stage, which we have not"),
    (r"backbone_3d\.(stage_|input_layer|conv5|conv6|unet|.*transformer).*", "a backbone which we have not"),
    (
        r"dense_head\.heads_list\.[1-9].*|bbox_head\.tasks\.[1-9].*|dense_head\.rpn_heads\..*",
        "a head with several groups of classes; ours has one group",
    ),
)


def refuse_foreign_networks(names: Iterable[str]) -> None:
    """Raise UserError that names the network, if a tensor's name tells that it is one we have no counterpart of."""
    for name in names:
        for pattern, what in _REFUSED:
            if re.fullmatch(pattern, name):
                raise UserError(
                    f"{name}: of {what}; accepted are single-stage PointPillars and CenterPoint of OpenPCDet, "
                    "CenterPoint of its own repository, with one group of classes, and PillarNeXt-B"
                )
