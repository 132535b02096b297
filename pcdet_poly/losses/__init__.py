"""Losses: pure unreduced functions, and for each head a criterion that weighs, divides and adds them up."""

from pcdet_poly.losses.anchor_box_loss import residual_difference, smooth_l1
from pcdet_poly.losses.anchor_criterion import AnchorCriterion
from pcdet_poly.losses.center.box_loss import gather_cells, l1
from pcdet_poly.losses.center.criterion import CenterCriterion
from pcdet_poly.losses.classification import heatmap_loss, sigmoid_loss
from pcdet_poly.losses.gradient_shares import (
    anchor_first_term_share,
    center_first_term_share,
    p_t_by_part,
    rsn_first_term_share,
)
from pcdet_poly.losses.heatmap_focal import gaussian_drop_n_focal, gaussian_poly1_focal, gaussian_poly_n_focal
from pcdet_poly.losses.rsn_criterion import RsnCriterion
from pcdet_poly.losses.sigmoid_focal import Soft, drop_n_focal, poly1_focal, poly1_focal_unweighted, poly_n_focal
from pcdet_poly.losses.softmax_focal import (
    drop_n_cross_entropy,
    drop_n_softmax_focal,
    poly1_cross_entropy,
    poly1_softmax_focal,
    poly_n_cross_entropy,
    poly_n_softmax_focal,
)

__all__ = [
    "AnchorCriterion",
    "CenterCriterion",
    "RsnCriterion",
    "Soft",
    "anchor_first_term_share",
    "center_first_term_share",
    "drop_n_cross_entropy",
    "drop_n_focal",
    "drop_n_softmax_focal",
    "gather_cells",
    "gaussian_drop_n_focal",
    "gaussian_poly1_focal",
    "gaussian_poly_n_focal",
    "heatmap_loss",
    "l1",
    "p_t_by_part",
    "poly1_cross_entropy",
    "poly1_focal",
    "poly1_focal_unweighted",
    "poly1_softmax_focal",
    "poly_n_cross_entropy",
    "poly_n_focal",
    "poly_n_softmax_focal",
    "residual_difference",
    "rsn_first_term_share",
    "sigmoid_loss",
    "smooth_l1",
]
