"""Pillar and voxel encoders beside OpenPCDet's, CenterPoint's and PillarNeXt's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.experiments.reference.arrays import Arrays, read_grid, select_arrays
from pcdet_poly.experiments.reference.output import Output, compare, compare_array
from pcdet_poly.models.layers.pillar_encoder import PillarEncoder
from pcdet_poly.models.layers.voxel_means import average_points
from pcdet_poly.structures import Voxels

ROWS = 20  # of every pillar of the hard encoders
VOXEL_POINTS = 5  # that a voxel's mean is over
# Allowed errors, in units of the largest value. A mean is of 5 points: at most 5 float32 roundings of 6e-8. The others
# go through sums of some hundred products, and gradients back through norms.
FEATURES, STATISTICS, GRADIENTS, MEANS = 1e-5, 1e-5, 1e-4, 1e-6


def compare_hard_pillars(arrays: Arrays) -> Iterator[Output]:
    """OpenPCDet's PillarVFE, with two layers and with one."""
    yield from _compare_two_sizes(arrays, centre_offsets=3)


def compare_feature_nets(arrays: Arrays) -> Iterator[Output]:
    """CenterPoint's PillarFeatureNet, with two layers and with one; it has no offset to the centre in z."""
    yield from _compare_two_sizes(arrays, centre_offsets=2)


def compare_dynamic_pillars(arrays: Arrays) -> Iterator[Output]:
    """OpenPCDet's DynamicPillarVFE, which takes points of any height."""
    yield from _compare_encoder(arrays, "", {"any_height": True})


def compare_pillarnext_reader(arrays: Arrays) -> Iterator[Output]:
    """PillarNeXt's PillarFeatureNet, which takes points of any height and has no offset to the centre in z."""
    yield from _compare_encoder(arrays, "", {"any_height": True, "centre_offsets": 2})


def compare_voxel_means(arrays: Arrays) -> Iterator[Output]:
    """OpenPCDet's MeanVFE behind a cap of five points."""
    points, frame, num_frames = _read_points(arrays)
    voxels = average_points(points, frame, read_grid(arrays), num_frames, max_points=VOXEL_POINTS)
    yield compare_array(arrays, "coordinates", voxels.sites.coordinates())
    yield compare_array(arrays, "features", voxels.features, relative=MEANS)


def _compare_two_sizes(arrays: Arrays, centre_offsets: int) -> Iterator[Output]:
    for prefix in ("two.", "one."):
        yield from _compare_encoder(arrays, prefix, {"max_points": ROWS, "centre_offsets": centre_offsets})


def _compare_encoder(arrays: Arrays, prefix: str, settings: Mapping[str, Any]) -> Iterator[Output]:
    """Compare what an encoder with the file's weights gives in evaluation and in one step of training.

    Args:
        arrays: of the file.
        prefix: of the encoder's arrays in it.
        settings: of our encoder.
    """
    points, frame, num_frames = _read_points(arrays)
    state = _rename_state(select_arrays(arrays, f"{prefix}state."))
    encoder = _build_encoder(points.shape[1], state, settings)
    voxels = encoder.group_points(points, frame, read_grid(arrays), num_frames)
    yield compare(f"{prefix}coordinates", voxels.coordinates()[:, [0, 2, 3]], arrays["coordinates"])
    kept = arrays.get("num_points_kept", arrays.get("num_points_all"))
    if kept is not None:
        yield compare(f"{prefix}points kept", voxels.num_points, kept)
    with torch.no_grad():
        features = encoder.eval()(points, voxels)
    yield compare_array(arrays, f"{prefix}eval.features", features, relative=FEATURES)
    yield from _compare_training(arrays, prefix, encoder.train(), points, voxels)


def _compare_training(
    arrays: Arrays, prefix: str, encoder: PillarEncoder, points: Tensor, voxels: Voxels
) -> Iterator[Output]:
    """Compare features, running statistics and gradients of one step.

    Args:
        arrays: of the file.
        prefix: of the encoder's arrays in it.
        encoder: in training.
        points: (P, C).
        voxels: the pillars that they lie in.
    """
    features = encoder(points, voxels)
    yield compare_array(arrays, f"{prefix}train.features", features, relative=FEATURES)
    if features.shape == arrays["given"].shape:
        (features * torch.from_numpy(arrays["given"])).sum().backward()
    for name, value in _rename_state(select_arrays(arrays, f"{prefix}train.after.")).items():
        yield compare(f"{prefix}train.after.{name}", encoder.get_buffer(name), value.numpy(), relative=STATISTICS)
    for name, value in _rename_state(select_arrays(arrays, f"{prefix}train.grad.")).items():
        gradient = encoder.get_parameter(name).grad
        ours = np.full(value.shape, np.nan) if gradient is None else gradient
        yield compare(f"{prefix}train.grad.{name}", ours, value.numpy(), relative=GRADIENTS)


def _build_encoder(point_channels: int, state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> PillarEncoder:
    widths = [len(value) for name, value in state.items() if name.endswith("linear.weight")]
    channels = [*(2 * width for width in widths[:-1]), widths[-1]]
    encoder = PillarEncoder(point_channels, channels, **settings)
    missing, unexpected = encoder.load_state_dict(dict(state), strict=False)
    wanted = [name for name in missing if not name.endswith("num_batches_tracked")]
    if wanted or unexpected:
        raise KeyError(*wanted, *unexpected)
    return encoder


def _rename_state(theirs: Arrays) -> dict[str, Tensor]:
    return {name.replace("pfn_layers.", "layers."): torch.from_numpy(value) for name, value in theirs.items()}


def _read_points(arrays: Arrays) -> tuple[Tensor, Tensor, int]:
    """Points (P, C), the frame (P,) of each, and the number of frames."""
    frame = arrays["frame"]
    return torch.from_numpy(arrays["points"]), torch.from_numpy(frame.astype(np.int64)), int(frame.max()) + 1
