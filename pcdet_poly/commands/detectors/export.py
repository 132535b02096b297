"""Write a run's network as an ONNX file, checked against PyTorch with onnxruntime.

Beside it goes a .json that says how to feed it: columns, grid, classes, meaning of the outputs. Needs the extra
`pip install pcdet_poly[onnx]`.

Example: pcdet-poly export runs/centerpoint_pillar --onnx
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, cast

from pcdet_poly.commands.options import add_checkpoint, add_run, parse_local_path, split_run
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError
from pcdet_poly.names.shown_names import print_line

if TYPE_CHECKING:
    from pcdet_poly.config.schema import Config

TOLERANCE = 1e-3  # of a map, relative to its largest value


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly export`."""
    add_run(parser)
    parser.add_argument(
        "--onnx", nargs="?", const="", required=True, metavar="FILE", help="write ONNX (default FILE: RUN/model.onnx)"
    )
    add_checkpoint(parser, "default: last")


def run(options: argparse.Namespace) -> None:
    """Write the network, and remove it again where onnxruntime computes something else."""
    folder, checkpoint = split_run(options.run, options.checkpoint)
    path = parse_local_path(options.onnx) if options.onnx else folder / "model.onnx"
    from pcdet_poly.models.export.libraries import check_onnx_installed

    check_onnx_installed()
    from pcdet_poly.engine.detector import Detector
    from pcdet_poly.files import write_json
    from pcdet_poly.models.export.compare_onnx import measure_largest_difference
    from pcdet_poly.models.export.network import OUTPUT_OPSET, export_onnx
    from pcdet_poly.models.pillar_detector import PillarDetector

    detector = Detector.load(folder, checkpoint=checkpoint, device="cpu")
    names = export_onnx(detector.model, path)
    write_json(path.with_suffix(".json"), describe_network(detector.config, names))
    difference = measure_largest_difference(cast(PillarDetector, detector.model), path)
    if difference > TOLERANCE:
        path.unlink()
        raise UserError(f"{path}: onnxruntime differs from PyTorch by {difference:.1e} of a map's range; not written")
    print_line(
        f"{path}: opset {OUTPUT_OPSET}, outputs {', '.join(names)}; onnxruntime and PyTorch differ by "
        f"{difference:.1e} of a map's range at most"
    )


def describe_network(config: Config, outputs: list[str]) -> dict[str, Any]:
    """Return how to feed the network and what its outputs are, as plain types."""
    return {
        "inputs": {
            "points": ["x m", "y m", "z m", "tanh(intensity)", "elongation"],
            "pillar_of_point": "position in cell_of_pillar; points outside the grid are left out",
            "cell_of_pillar": "y * columns + x, floor((p - lower) / cell)",
        },
        "outputs": outputs,
        "grid": config.grid.model_dump(mode="json"),
        "columns": config.grid.shape[0],
        "rows": config.grid.shape[1],
        "classes": list(config.data.classes),
        "model": config.model.model_dump(mode="json"),
        "decode": config.decode.model_dump(mode="json"),
    }
