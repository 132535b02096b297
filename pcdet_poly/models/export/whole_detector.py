"""A pillar detector from points to boxes, in plain torch operations, and as an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.models.decoding.anchor_decoder import AnchorDecoder
from pcdet_poly.models.decoding.center_decoder import CenterDecoder
from pcdet_poly.models.export.group_points import PointGrouping
from pcdet_poly.models.export.network import OUTPUT_OPSET, ExportedNetwork, silence_exporter
from pcdet_poly.models.export.sparse_stages import PlainSparseStages
from pcdet_poly.models.layers.pillar_encoder import PillarEncoder
from pcdet_poly.models.pillar_detector import PillarDetector
from pcdet_poly.models.recipe import Recipe
from pcdet_poly.runtime.checksum import add_checksum

OUTPUTS = ("box", "label", "ranked", "score", "velocity")


class WholeDetector(nn.Module):
    """Points of one frame -> the boxes that suppression selects among, in operations that ONNX has.

    The intensity of the points is raw: its tanh is taken here.
    """

    def __init__(self, model: PillarDetector, decode: CenterDecoder | AnchorDecoder) -> None:
        super().__init__()
        self.grouping = PointGrouping(model.grid, model.encoder)
        self.network = ExportedNetwork(model)
        nx, ny, _ = model.grid.shape
        self.sparse = None if model.sparse is None else PlainSparseStages(model.sparse, (ny, nx))
        self.find_boxes = decode.find_boxes

    def forward(self, points: Tensor) -> tuple[Tensor, ...]:
        """Find the boxes of a frame.

        Args:
            points: (P, C) float32: x, y, z, raw intensity, then the elongation and the age where the model reads them.

        Returns:
            M boxes as `select_detections` takes them: box (M, 7), label (M,), ranked (M,), score (M,), and velocity
            (M, 2) where the head has it.
        """
        intensity = points[:, 3:4].tanh()
        points = torch.cat([points[:, :3], intensity, points[:, 4:]], dim=1)
        grouped = self.grouping(points)
        pillars = self.network.encode_pillars(*grouped)
        maps = self.network.compute_maps(self._make_image(pillars, grouped.cell_of_pillar))
        box, label, ranked, *rest = (values[0] for values in self.find_boxes(maps))
        score, *velocity = rest or [ranked]
        velocity = [values for values in velocity if values.shape[1]]
        return (box, label, ranked, score, *velocity)

    def _make_image(self, pillars: Tensor, cell: Tensor) -> Tensor:
        if self.sparse is not None:
            image: Tensor = self.sparse(pillars, cell)
            return image
        cells = pillars.new_zeros(self.network.ny * self.network.nx, pillars.shape[1])
        return cells.index_copy(0, cell, pillars).T.reshape(1, -1, self.network.ny, self.network.nx)


def export_detector(recipe: Recipe, path: Path, metadata: Mapping[str, str]) -> WholeDetector:
    """Write a detector, from points to the boxes before suppression, as an ONNX file, whole or not at all.

    Args:
        recipe: of a detector on pillars, dense or sparse, with weights.
        path: of the file.
        metadata: texts that the file carries by these names.

    Returns:
        The same network in plain torch operations.

    Raises:
        UserError: for detectors with operations that ONNX lacks (voxels, range images, parts of a user's own).
    """
    model, decode = recipe.model, recipe.decode
    fits = isinstance(model, PillarDetector) and isinstance(model.encoder, PillarEncoder)
    if not fits or not isinstance(decode, CenterDecoder | AnchorDecoder):
        raise UserError(f"{type(model).__name__}: has operations that ONNX lacks; detectors on pillars can be exported")
    network = WholeDetector(cast(PillarDetector, model).cpu().eval(), decode).eval()
    points = torch.rand(33, network.network.point_channels)
    with torch.no_grad():
        names = OUTPUTS[: len(network(points))]
    with silence_exporter():
        program = torch.onnx.export(
            network,
            (points,),
            None,
            input_names=["points"],
            output_names=names,
            dynamic_shapes=({0: torch.export.Dim("points", min=1)},),
            opset_version=OUTPUT_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(metadata)
    with atomic_path(path) as temporary:
        program.save(temporary)
        add_checksum(temporary)
    return network
