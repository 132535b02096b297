"""Which label each detection of a view matches."""

from __future__ import annotations

import numpy as np

from pcdet_poly.visualization.viewer.view import View

_LEAST_IOU = {"VEHICLE": 0.7}  # as Waymo's metrics ask
_OTHER_LEAST_IOU = 0.5


def match_by_score(view: View) -> np.ndarray:
    """Return the position of each detection's label, (N,) int64; -1 for a false detection.

    The highest score first, each takes the free label of its class that it overlaps most, if the 3D IoU is at least
    Waymo's for the class. What a detection gets depends on stronger ones alone, so that a larger smallest score
    changes no match.
    """
    import torch

    from pcdet_poly.ops.iou import iou_3d

    assert view.detections is not None
    found, labels = view.detections, view.labels
    overlap = iou_3d(torch.as_tensor(found.box), torch.as_tensor(labels.box)).numpy()  # (N, M)
    overlap[np.asarray(found.label)[:, None] != np.asarray(labels.label)[None]] = 0
    match = np.full(len(found), -1)
    for row in np.argsort(-found.score, kind="stable"):
        least = _LEAST_IOU.get(view.class_names[found.label[row]].upper(), _OTHER_LEAST_IOU)
        if len(labels) and overlap[row].max() >= least:
            match[row] = overlap[row].argmax()
            overlap[:, match[row]] = 0
    return match
