"""Write a run's network as an ONNX file, checked against PyTorch with onnxruntime.

Beside it goes a .json that says how to feed it: columns, grid, classes, meaning of the outputs. With --whole the file
is the whole detector, from points to boxes, which `pcdet_poly.runtime` runs without torch. Needs the extra
`pip install pcdet_poly[onnx]`.

Example: pcdet-poly export runs/centerpoint_pillar --onnx
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pcdet_poly.commands.file_kinds import NETWORK
from pcdet_poly.commands.options import (
    add_checkpoint,
    add_run,
    parse_path_or_url,
    parse_positive_int,
    split_run,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError
from pcdet_poly.names.shown_names import print_line

if TYPE_CHECKING:
    from pcdet_poly.config.schema import Config
    from pcdet_poly.engine.detector import Detector
    from pcdet_poly.runtime.model_file import FileDescription

TOLERANCE = 1e-3  # of a map, relative to its largest value
LOST_BOXES = 0.02  # share of the best boxes that rounding may move or exchange


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly export`."""
    add_run(parser)
    parser.add_argument(
        "--onnx",
        nargs="?",
        type=NETWORK,
        required=True,
        metavar="FILE",
        help="write ONNX (default FILE: RUN/model.onnx, with --whole RUN/detector.onnx, with --int8 "
        "RUN/network_int8.onnx)",
    )
    parser.add_argument(
        "--whole", action="store_true", help="from points to boxes, for pcdet_poly.runtime; else from pillars to maps"
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="the network from bird's-eye image to maps in 8-bit integers, for `detect --runtime int8`",
    )
    parser.add_argument(
        "--calibrate",
        nargs="+",
        type=parse_path_or_url,
        metavar="STORE",
        help="with --int8: frame stores that say how large activations are (default: the run's data.train)",
    )
    parser.add_argument(
        "--calibration-frames",
        type=parse_positive_int,
        default=32,
        metavar="N",
        help="with --int8: frames to calibrate on, evenly spaced (default: 32)",
    )
    add_checkpoint(parser, "default: last")


def run(options: argparse.Namespace) -> None:
    """Write the network, and remove it again where onnxruntime computes something else."""
    folder, checkpoint = split_run(options.run, options.checkpoint)
    if options.int8 and options.whole:
        raise UserError("--int8: the file holds the network alone; leave --whole out")
    if options.calibrate and not options.int8:
        raise UserError("--calibrate: calibrates --int8; give that too")
    name = "network_int8.onnx" if options.int8 else "detector.onnx" if options.whole else "model.onnx"
    path = options.onnx or folder / name
    from pcdet_poly.models.export.libraries import check_onnx_installed

    check_onnx_installed()
    from pcdet_poly.engine.detector import Detector

    detector = Detector.load(folder, checkpoint=checkpoint, device="cpu")
    if options.int8:
        _export_int8(detector, options.calibrate, options.calibration_frames, path)
    elif options.whole:
        _export_whole(detector, folder.name, path)
    else:
        _export_network(detector, path)


def _export_network(detector: Detector, path: Path) -> None:
    from pcdet_poly.files import write_json
    from pcdet_poly.models.export.compare_onnx import measure_largest_difference
    from pcdet_poly.models.export.network import OUTPUT_OPSET, export_onnx
    from pcdet_poly.models.pillar_detector import PillarDetector

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


def _export_int8(detector: Detector, stores: list[Path | str] | None, num_frames: int, path: Path) -> None:
    from tempfile import TemporaryDirectory

    from pcdet_poly.engine.calibration_images import load_calibration_images
    from pcdet_poly.models.export.dense_part import export_dense_part, has_dense_part
    from pcdet_poly.models.export.quantize import quantize_dense_part

    model = detector.model
    if not has_dense_part(model):
        raise UserError(f"{type(model).__name__}: has no network from image to maps; pillar and voxel detectors have")
    images = load_calibration_images(model, detector.config, stores, num_frames)
    with TemporaryDirectory() as folder:
        export_dense_part(model, Path(folder) / "network.onnx", checksum=False)
        quantize_dense_part(Path(folder) / "network.onnx", path, images)
    print_line(f"{path}: 8-bit integers, {path.stat().st_size / 1e6:,.1f} MB; use it by `detect --runtime int8`")


def _export_whole(detector: Detector, run_name: str, path: Path) -> None:
    from pcdet_poly.models.export.compare_onnx import measure_lost_boxes
    from pcdet_poly.models.export.network import OUTPUT_OPSET
    from pcdet_poly.models.export.whole_detector import export_detector
    from pcdet_poly.runtime.model_file import KEY

    export_detector(detector.recipe, path, {KEY: describe_detector_file(run_name, detector.config).write_json()})
    lost = measure_lost_boxes(detector.recipe, path)
    if lost > LOST_BOXES:
        path.unlink()
        raise UserError(f"{path}: onnxruntime finds {lost:.1%} of the boxes elsewhere than PyTorch; not written")
    flips = detector.config.evaluation.test_time_flips
    if flips != "none":
        print_line(f"warning: the file looks at each cloud once, without test_time_flips = {flips}", file=sys.stderr)
    print_line(
        f"{path}: opset {OUTPUT_OPSET}, from points to boxes, {path.stat().st_size / 1e6:,.1f} MB; onnxruntime finds "
        f"{1 - lost:.1%} of PyTorch's boxes; run it with `python -m pcdet_poly.runtime {path} CLOUD`"
    )


def describe_detector_file(run_name: str, config: Config) -> FileDescription:
    """Describe the file of a whole detector, for its metadata.

    Args:
        run_name: of the run.
        config: its settings.
    """
    from pcdet_poly.engine.provenance import describe_detector
    from pcdet_poly.runtime.model_file import FileDescription

    names = ["x", "y", "z", "intensity"] + ["elongation"] * config.data.elongation + ["age"] * config.data.has_age
    return FileDescription(
        classes=config.data.classes,
        columns=tuple(names),
        grid=config.grid.model_dump(mode="json"),
        decode=config.decode.model_dump(mode="json"),
        made_by={
            **describe_detector(run_name, config).to_json(),
            "model": config.model.model_dump(mode="json"),
        },
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
