"""Arguments that do not fit are a ValueError, before a kernel reads or writes outside its arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pcdet_poly import ops
from pcdet_poly.ops.arrays.iou import matched_iou, pairwise_iou
from pcdet_poly.ops.arrays.range_image import NEIGHBOURS, assign_pixels, select_nearest_points
from pcdet_poly.ops.pillars import sort_and_decorate
from pcdet_poly.ops.rulebook import build_submanifold_rulebook
from pcdet_poly.ops.scatter import scatter_max
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid, Sites

GRID = Grid((0.0, 0.0, 0.0), (4.0, 4.0, 1.0), (1.0, 1.0, 1.0))
POINTS = torch.tensor([[0.5, 0.5, 0.5, 1.0], [1.5, 0.5, 0.5, 1.0], [1.6, 0.5, 0.5, 1.0]])
VOXELS = voxelize(POINTS, torch.zeros(3, dtype=torch.int64), GRID, 1)
PILLARS = sort_and_decorate(POINTS, VOXELS)[1]
RULEBOOK = build_submanifold_rulebook(Sites(torch.tensor([0, 1]), (1, 4, 4), 1), (1, 3, 3))
BOXES, ROW, WHOLE = torch.ones(3, 7), torch.ones(3), torch.zeros(3, dtype=torch.int64)
MANY = torch.tensor([0, 1, 1 << 40])
CORNERS = Grid((0.0, 0.0, 0.0), (4.0, 4.0, 2.0), (1.0, 1.0, 1.0))

# Of every public operation: arguments that fit, and for some of them what does not. Functions left out have no shapes
# of tensors to check: they build rulebooks (tests/ops/test_sparse_conv.py), or take records that check themselves.
CASES: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "iou.iou_bev": ({"box_a": BOXES, "box_b": BOXES}, {"box_a": [ROW, BOXES[:, :5]], "box_b": [torch.ones(3, 8)]}),
    "iou.iou_3d": ({"box_a": BOXES, "box_b": BOXES}, {"box_a": [ROW, BOXES[:, :5]], "box_b": [torch.ones(3, 8)]}),
    "iou.iou_bev_matched": ({"box_a": BOXES, "box_b": BOXES}, {"box_a": [BOXES[:2], BOXES[None], BOXES[:, :5]]}),
    "iou.iou_3d_matched": ({"box_a": BOXES, "box_b": BOXES}, {"box_a": [BOXES[:2], BOXES[None], BOXES[:, :5]]}),
    "nms.nms": (
        {"box": BOXES, "score": ROW, "iou": 0.5},
        {"box": [BOXES[:, :6], BOXES[:2], ROW], "score": [BOXES, ROW[:2]], "iou": [float("nan"), []]},
    ),
    "nms.nms_per_class": (
        {"box": BOXES, "score": ROW, "label": WHOLE, "iou": [0.5], "frame": WHOLE},
        {
            "box": [BOXES[:, :6]],
            "label": [ROW, WHOLE[:2], WHOLE + 1, WHOLE - 1],
            "frame": [ROW, WHOLE[:2]],
            "iou": [[float("nan")], []],
        },
    ),
    "nms.circle_nms": (
        {"box": BOXES, "score": ROW, "radius_m": [1.0], "label": WHOLE},
        {"box": [BOXES[:, :6]], "score": [ROW[:2]], "label": [ROW, WHOLE + 1], "radius_m": [[]]},
    ),
    "points_in_boxes.points_in_boxes": (
        {"points": POINTS, "box": BOXES},
        {"points": [POINTS[:, :2], POINTS[0]], "box": [BOXES[:, :6], BOXES[0]]},
    ),
    "points_in_boxes.count_points": (
        {"points": POINTS, "box": BOXES},
        {"points": [POINTS[:, :2], POINTS[0]], "box": [BOXES[:, :6], BOXES[0]]},
    ),
    "voxelize.voxelize": (
        {"points": POINTS, "frame_of_point": WHOLE, "grid": GRID, "num_frames": 1, "sample": "first", "max_points": 1},
        {
            "points": [POINTS[:, :2], POINTS[0], POINTS[:2]],
            "frame_of_point": [ROW, WHOLE[:2], WHOLE[:, None]],
            "num_frames": [-1],
            "sample": ["last"],
            "max_points": [0],
        },
    ),
    "scatter.scatter_mean": (
        {"values": POINTS, "voxel_of_point": WHOLE, "num_voxels": 2, "max_points": 1},
        {
            "values": [POINTS[:2], POINTS[0]],
            "voxel_of_point": [WHOLE + 2, MANY, ROW, WHOLE[:2]],
            "num_voxels": [-1, 0],
            "max_points": [0],
        },
    ),
    "scatter.scatter_max": (
        {"values": POINTS, "voxel_of_point": WHOLE, "num_voxels": 2},
        {
            "values": [POINTS[:2], POINTS[0]],
            "voxel_of_point": [WHOLE + 2, MANY, ROW, WHOLE[:2]],
            "num_voxels": [-1, 0],
        },
    ),
    "scatter.take_rows": (
        {"values": POINTS, "row": WHOLE},
        {"values": [POINTS[0], POINTS[:0]], "row": [WHOLE - 1, WHOLE + len(POINTS), MANY, ROW, WHOLE[None]]},
    ),
    "scatter.to_bev": (
        {"features": torch.ones(2, 5), "voxels": VOXELS},
        {"features": [torch.ones(3, 5), torch.ones(2)], "voxels": [replace(VOXELS, grid=CORNERS)]},
    ),
    "heatmap.draw_heatmap": (
        {"frame": WHOLE, "label": WHOLE, "x": WHOLE, "y": WHOLE, "radius": WHOLE, "shape": (1, 1, 4, 4)},
        {"frame": [ROW], "label": [WHOLE[:2]], "x": [ROW], "y": [WHOLE[None]], "shape": [(1, 4, 4), (1, 1, -1, 4)]},
    ),
    "pillars.sort_and_decorate": (
        {"points": POINTS, "voxels": VOXELS},
        {
            "points": [POINTS[:2], POINTS[:, :2]],
            "voxels": [replace(VOXELS, grid=CORNERS), replace(VOXELS, voxel_of_point=WHOLE)],
        },
    ),
    "pillars.linear_relu_pool": (
        {
            "inputs": POINTS,
            "weight": torch.ones(5, 4),
            "shift": torch.ones(2, 5),
            "pillars": PILLARS,
            "with_product": False,
        },
        {"inputs": [POINTS[:2], POINTS[:, :3]], "weight": [torch.ones(5, 3)], "shift": [torch.ones(3, 5), ROW]},
    ),
    "pillars.linear_max": (
        {"inputs": POINTS, "weight": torch.ones(5, 4), "pillars": PILLARS},
        {"inputs": [POINTS[:2], POINTS[:, :3]], "weight": [torch.ones(5, 3), ROW]},
    ),
    "pillars.gram_matrix": ({"values": POINTS}, {"values": [ROW, POINTS[None]]}),
    "sparse_conv.sparse_conv": (
        {"features": torch.ones(2, 4), "weight": torch.ones(5, 1, 3, 3, 4), "rulebook": RULEBOOK, "backend": "torch"},
        {
            "features": [torch.ones(3, 4), torch.ones(2, 3), ROW],
            "weight": [torch.ones(5, 1, 1, 3, 4), torch.ones(5, 4), torch.ones(5, 1, 3, 3, 3)],
            "backend": ["cuda"],
        },
    ),
    "sparse_conv.sparse_conv_relu": (
        {
            "features": torch.ones(2, 4),
            "weight": torch.ones(5, 1, 3, 3, 4),
            "rulebook": RULEBOOK,
            "bias": torch.ones(5),
            "residual": torch.ones(2, 5),
            "backend": "torch",
        },
        {
            "features": [torch.ones(3, 4), torch.ones(2, 3), ROW],
            "weight": [torch.ones(5, 1, 1, 3, 4), torch.ones(5, 4), torch.ones(5, 1, 3, 3, 3)],
            "bias": [torch.ones(4), torch.ones(5, 1)],
            "residual": [torch.ones(3, 5), torch.ones(2, 4), ROW],
            "backend": ["cuda"],
        },
    ),
    "heading_bins.encode_heading_bin": ({"heading_rad": ROW, "num_bins": 4}, {"num_bins": [0]}),
    "heading_bins.decode_heading_bin": (
        {"heading_bin": WHOLE, "residual": ROW, "num_bins": 4},
        {"num_bins": [0, -1]},
    ),
    "heading_bins.decode_likeliest_heading": ({"channels": torch.ones(3, 8)}, {"channels": [BOXES, torch.ones(3, 0)]}),
    "heading_bins.decode_heading": ({"channels": torch.ones(3, 2)}, {"channels": [BOXES, torch.tensor(1.0)]}),
    "center_box_coder.encode_center_boxes": (
        {"box": BOXES, "offset": torch.ones(3, 2)},
        {"box": [BOXES[:, :6]], "offset": [ROW, torch.ones(2, 2), torch.ones(1, 2)]},
    ),
    "center_box_coder.decode_center_boxes": (
        {"code": torch.ones(3, 8), "cell": WHOLE, "grid": GRID},
        {"code": [BOXES, torch.ones(2, 8)], "cell": [WHOLE[:2], WHOLE[None]]},
    ),
    "center_box_coder.encode_sizes": (
        {"size": torch.ones(3, 3), "code": "log"},
        {"size": [torch.ones(3, 2), BOXES, torch.tensor(1.0)]},
    ),
    "center_box_coder.decode_sizes": (
        {"values": torch.ones(3, 3), "code": "metres"},
        {"values": [torch.ones(3, 2), BOXES, torch.tensor(1.0)]},
    ),
    "anchor_box_coder.encode_anchor_boxes": (
        {"box": BOXES, "anchor": BOXES},
        {"box": [BOXES[:, :6]], "anchor": [torch.ones(3, 8)]},
    ),
    "anchor_box_coder.decode_anchor_boxes": (
        {"code": BOXES, "anchor": BOXES},
        {"code": [BOXES[:, :6]], "anchor": [torch.ones(3, 8)]},
    ),
    "anchor_box_coder.find_sector": (
        {"heading_rad": ROW, "num_sectors": 2, "offset_rad": 0.0},
        {"num_sectors": [0]},
    ),
    "anchor_box_coder.turn_into_sector": (
        {"heading_rad": ROW, "sector": WHOLE, "num_sectors": 2, "offset_rad": 0.0},
        {"num_sectors": [0]},
    ),
}
LEFT_OUT = {
    "pillars.voxel_centres",
    "rulebook.build_submanifold_rulebook",
    "rulebook.build_strided_rulebook",
    "sparse_conv.sparse_to_bev",
    "warm_up.warm_up",
}
WRONG = [(name, key, i) for name, (_, wrong) in CASES.items() for key in wrong for i in range(len(wrong[key]))]


def find_operation(name: str) -> Callable[..., Any]:
    file, _, function = name.partition(".")
    return getattr(import_module(f"pcdet_poly.ops.{file}"), function)


@pytest.mark.parametrize("name", CASES)
def test_what_fits_is_taken(name: str) -> None:
    find_operation(name)(**CASES[name][0])


@pytest.mark.parametrize(("name", "key", "number"), WRONG)
def test_what_does_not_fit_is_refused(name: str, key: str, number: int) -> None:
    fitting, wrong = CASES[name]
    with pytest.raises(ValueError):  # noqa: PT011 - each message is of its own operation
        find_operation(name)(**(fitting | {key: wrong[key][number]}))


def test_every_public_operation_has_its_row() -> None:
    found = set()
    for path in Path(ops.__file__).parent.glob("*.py"):
        if path.stem in ("__init__", "dispatch"):
            continue
        module = import_module(f"pcdet_poly.ops.{path.stem}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                found.add(f"{path.stem}.{name}")
    assert found - LEFT_OUT == set(CASES)


def test_messages_name_the_operation_what_was_given_and_what_is_needed() -> None:
    with pytest.raises(ValueError, match=r"^iou_bev: box_a \(3, 5\) given, \(N, 7\) needed$"):
        find_operation("iou.iou_bev")(BOXES[:, :5], BOXES)
    with pytest.raises(ValueError, match=r"^voxelize: frame_of_point of torch.float32 given, whole numbers \(int64\)"):
        voxelize(POINTS, ROW, GRID, 1)
    with pytest.raises(ValueError, match=r"^voxelize: 2 rows of frame_of_point for 3 of points; give as many of each$"):
        voxelize(POINTS, WHOLE[:2], GRID, 1)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (pairwise_iou, (np.ones((2, 5), np.float32), np.ones((2, 7), np.float32), False)),
        (matched_iou, (np.ones((2, 7), np.float32), np.ones((3, 7), np.float32), False)),
        (assign_pixels, (np.array([0, 2]), np.array([0, 1]), np.array([0, 1]), 4, 4, NEIGHBOURS)),
        (assign_pixels, (np.array([0, 1]), np.array([0, 4]), np.array([0, 1]), 4, 4, NEIGHBOURS)),
        (assign_pixels, (np.array([0, 1]), np.array([0, 1]), np.array([0]), 4, 4, NEIGHBOURS)),
        (select_nearest_points, (np.array([0, 16]), np.ones((2, 2), np.float32)[:, 0], 16)),
        (select_nearest_points, (np.array([0, 1]), np.ones((1, 2), np.float32)[:, 0], 16)),
    ],
)
def test_kernels_over_arrays_refuse_too(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        function(*arguments)


def test_a_gpu_leaves_points_of_voxels_that_are_not_there_out() -> None:
    """Triton's interpreter stands in for it. It cannot raise without being waited for."""
    pytest.importorskip("triton")
    from pcdet_poly.ops.gpu.scatter import segment_max, segment_mean, share_among_highest

    if torch.cuda.is_available():
        pytest.skip("kernels are compiled here, and the tensors of this test are the CPU's")
    values, voxel = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 5, 0])
    assert segment_max(values, voxel, 2).tolist() == [[3.0], [-torch.inf]]
    with np.errstate(invalid="ignore"):  # voxel 1 has no points
        assert segment_mean(values, voxel, 2)[0].tolist()[0] == [2.0]
    share = share_among_highest(torch.ones(2, 1), values, torch.tensor([[3.0], [0.0]]), voxel)
    assert share.tolist() == [[0.0], [0.0], [1.0]]
    with pytest.raises(ValueError, match="not below num_voxels"):
        scatter_max(values, voxel, 2)
