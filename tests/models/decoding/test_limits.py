"""Limits on the number of boxes: of a frame, or of each class."""

from __future__ import annotations

import pytest
import torch

from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.models.decoding.suppress import suppress_boxes, take_first
from pcdet_poly.structures import Detections

LABEL = torch.tensor([0, 0, 1, 0, 2, 1, 0])


def test_the_first_of_each_class_are_taken() -> None:
    order = torch.tensor([6, 2, 0, 3, 5, 4])
    per_class = DecodeConfig(limits="per_class")
    assert take_first(order, LABEL, 1, per_class).tolist() == [6, 2, 4]
    assert take_first(order, LABEL, 2, per_class).tolist() == [6, 2, 0, 5, 4]
    assert take_first(order, LABEL, 6, per_class).tolist() == order.tolist()
    assert take_first(order, LABEL, 2, DecodeConfig()).tolist() == [6, 2]
    assert take_first(order[:0], LABEL, 2, per_class).tolist() == []


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, [6, 5, 4, 3, 2, 1, 0]),
        ({"max_detections": 3}, [6, 5, 4]),
        ({"max_detections": 1, "limits": "per_class"}, [6, 5, 4]),
        ({"max_detections": 2, "limits": "per_class"}, [6, 5, 4, 3, 2]),
        ({"nms_top_k": 2, "limits": "per_class"}, [6, 5, 4, 3, 2]),
        ({"nms_top_k": 2}, [6, 5]),
    ],
)
def test_boxes_far_apart_are_limited_before_and_after_suppression(settings: dict, kept: list[int]) -> None:
    box = torch.ones(7, 7)
    box[:, 0] = torch.arange(7) * 10
    found = suppress_boxes(Detections(box, LABEL, torch.arange(7) / 10), DecodeConfig(**settings))
    assert (found.box[:, 0] / 10).int().tolist() == kept
