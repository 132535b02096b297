"""A pillar detector in plain torch operations, and as an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.models.fuse import fuse_for_inference
from pcdet_poly.models.layers.folded_layers import fold_linear
from pcdet_poly.models.layers.pillar_encoder import PillarEncoder
from pcdet_poly.models.layers.pillar_layer import PillarLayer
from pcdet_poly.models.pillar_detector import PillarDetector

OUTPUT_OPSET = 18  # the first in which ScatterElements takes maxima and sums


class ExportedNetwork(nn.Module):
    """Points of one frame with their pillars -> maps, in operations that ONNX has."""

    first_centre: Tensor
    step: Tensor

    def __init__(self, model: PillarDetector) -> None:
        super().__init__()
        model = cast(PillarDetector, fuse_for_inference(model))
        layers = [fold_linear(layer.linear, layer.norm) for layer in cast(list[PillarLayer], model.encoder.layers)]
        self.point_channels, self.max_points = model.point_channels, model.encoder.max_points
        self.num_inputs = layers[0].in_features
        self.layers = nn.ModuleList(layers)
        self.backbone, self.head = model.backbone, model.head
        nx, ny, _ = model.grid.shape
        self.nx, self.ny = nx, ny
        half = [low + edge / 2 for low, edge in zip(model.grid.lower, model.grid.cell, strict=True)]
        self.register_buffer("first_centre", torch.tensor(half))
        self.register_buffer("step", torch.tensor([*model.grid.cell[:2], 0.0]))

    def forward(self, points: Tensor, pillar_of_point: Tensor, cell_of_pillar: Tensor) -> tuple[Tensor, ...]:
        """Compute the maps of one frame. K points and V pillars may change from call to call.

        Args:
            points: (K, C) float32, those that the encoder takes into pillars, columns as in Batch.points.
            pillar_of_point: (K,) int64 in [0, V).
            cell_of_pillar: (V,) int64, y * nx + x.

        Returns:
            The tensors of the head's maps, in the order of its fields.
        """
        pillars = self.encode_pillars(points, pillar_of_point, cell_of_pillar)
        image = pillars.new_zeros(self.ny * self.nx, pillars.shape[1])
        image = image.index_copy(0, cell_of_pillar, pillars).T.reshape(1, -1, self.ny, self.nx)
        maps = self.compute_maps(image)
        return tuple(value for field in fields(maps) if isinstance(value := getattr(maps, field.name), Tensor))

    def compute_maps(self, image: Tensor) -> Any:
        """Compute the head's maps of a bird's-eye image (1, C, H, W)."""
        return self.head(self.backbone(image))

    def encode_pillars(self, points: Tensor, pillar_of_point: Tensor, cell_of_pillar: Tensor) -> Tensor:
        """Encode pillars as features (V, width); the arguments are those of `forward`.

        Args:
            points: (K, C) float32.
            pillar_of_point: (K,) int64 in [0, V).
            cell_of_pillar: (V,) int64, y * nx + x.
        """
        num_points = torch.zeros_like(cell_of_pillar).scatter_add(0, pillar_of_point, torch.ones_like(pillar_of_point))
        features = self._decorate_points(points, pillar_of_point, cell_of_pillar)[:, : self.num_inputs]
        empty = torch.zeros_like(features[:1])  # a row without a point, of every pillar that has one
        highest = features[:0]
        for layer in self.layers:
            values, empty = layer(features).relu(), layer(empty).relu()  # (K, width), (1 or V, width)
            highest = _max_per_pillar(values, pillar_of_point, cell_of_pillar.shape[0])
            if self.max_points is not None:
                highest = torch.where(num_points[:, None] < self.max_points, torch.maximum(highest, empty), highest)
            features = torch.cat([values, highest[pillar_of_point]], dim=1)
            empty = torch.cat([empty.expand(highest.shape[0], -1), highest], dim=1)
        return highest

    def _decorate_points(self, points: Tensor, pillar: Tensor, cell: Tensor) -> Tensor:
        """Append to the columns the offsets from the mean of the pillar's points and from its centre: (K, C + 6)."""
        xyz = points[:, :3]
        ones = torch.ones_like(xyz[:, :1])
        sums = xyz.new_zeros(cell.shape[0], 4).scatter_add(
            0, pillar[:, None].expand(-1, 4), torch.cat([xyz, ones], dim=1)
        )
        mean = sums[:, :3] / sums[:, 3:]
        position = torch.stack([cell % self.nx, cell // self.nx, torch.zeros_like(cell)], dim=1)
        centre = self.first_centre + position * self.step
        return torch.cat([points, xyz - mean[pillar], xyz - centre[pillar]], dim=1)


def _max_per_pillar(values: Tensor, pillar: Tensor, num_pillars: int) -> Tensor:
    """Compute the maximum over each pillar's points, (V, width), of values that are not negative."""
    start = values.new_zeros(num_pillars, values.shape[1])
    return start.scatter_reduce(0, pillar[:, None].expand_as(values), values, "amax")


@contextmanager
def silence_exporter() -> Iterator[None]:
    """Hide what the exporter says about packages that are not needed and about its own inner parts."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def list_map_names(model: PillarDetector) -> list[str]:
    """List the outputs by name: the fields of the head's maps that are tensors."""
    width = model.backbone.out_channels
    with torch.no_grad():
        maps = model.head(torch.zeros(1, width, 1, 1))
    return [field.name for field in fields(maps) if isinstance(getattr(maps, field.name), Tensor)]


def export_onnx(model: nn.Module, path: Path) -> list[str]:
    """Write `path`, whole or not at all, and return the names of the outputs.

    Raises:
        UserError: for detectors with operations that ONNX lacks (sparse convolution, range images).
    """
    is_dense = isinstance(model, PillarDetector) and model.sparse is None
    if not isinstance(model, PillarDetector) or not is_dense or not isinstance(model.encoder, PillarEncoder):
        raise UserError(f"{type(model).__name__}: has operations that ONNX lacks; detectors on pillars can be exported")
    network = ExportedNetwork(model.cpu()).eval()
    points = torch.rand(33, network.point_channels)
    pillar = torch.arange(33) // 3
    cell = torch.arange(11) * 5
    names = list_map_names(model)
    many, some = torch.export.Dim("points", min=1), torch.export.Dim("pillars", min=1)
    with atomic_path(path) as temporary, silence_exporter():
        torch.onnx.export(
            network,
            (points, pillar, cell),
            temporary,
            input_names=["points", "pillar_of_point", "cell_of_pillar"],
            output_names=names,
            dynamic_shapes=({0: many}, {0: many}, {0: some}),
            opset_version=OUTPUT_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return names
