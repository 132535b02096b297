"""Detect objects in point clouds by an ONNX file of a whole detector: writes the boxes (JSON) of each cloud.

Needs numpy and onnxruntime alone. `pcdet-poly export RUN --onnx --whole` writes such files. Reads .npz, .npy, .bin,
.pcd and .ply.

Example: pcdet-poly detect-onnx runs/centerpoint_pillar/detector.onnx cloud.ply scans/ --output detections
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING
from warnings import warn

from pcdet_poly.commands.detectors.detect import (
    add_clouds,
    describe_boxes,
    describe_counts,
    find_clouds,
    print_warnings,
    raise_points,
)
from pcdet_poly.commands.options import (
    add_min_score,
    add_output,
    parse_local_path,
    parse_positive_int,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError
from pcdet_poly.names.shown_names import print_line

if TYPE_CHECKING:
    import numpy as np


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly detect-onnx`."""
    parser.add_argument("file", metavar="FILE", type=parse_local_path, help="ONNX file of a whole detector")
    add_clouds(parser)
    add_output(parser, "folder for the boxes", default=Path("detections"))
    add_min_score(parser, "smallest score written", default=0.3)
    parser.add_argument("--threads", metavar="N", type=parse_positive_int, help="of a frame (default: one per core)")


def run(options: argparse.Namespace) -> None:
    """Detect in every cloud, write what was found."""
    from pcdet_poly.files import write_json
    from pcdet_poly.runtime import Detector

    detector = Detector(options.file, num_threads=options.threads)
    paths = find_clouds(options.clouds, options.cloud_format)
    options.output.mkdir(parents=True, exist_ok=True)
    for path in paths:
        with print_warnings(path):
            points = read_points(path, options.cloud_format, options.up)
            found = detector.detect(points)
        found = found[found.score >= options.min_score]
        made_by = {"classes": detector.class_names, **detector.description.made_by}
        boxes = describe_boxes(found, detector.class_names)
        write_json(options.output / f"{path.name}.json", boxes | {"made_by": made_by})
        print_line(f"{path}: {len(points):,} points, {describe_counts(found, detector.class_names)}")
    print_line(f"{options.output}: a .json for each of {len(paths)} clouds")


def read_points(path: Path, cloud_format: str | None, up_m: float) -> np.ndarray:
    """Read the points (P, 5) of a cloud, as `detect` reads them.

    Args:
        path: of the cloud.
        cloud_format: one of CLOUD_FORMATS; None goes by the file's ending.
        up_m: metres by which they are raised.

    Raises:
        UserError: where it cannot be read, or not by what is installed.
    """
    from pcdet_poly.checks.points import find_point_faults

    try:
        from pcdet_poly.data.convert.point_clouds import read_cloud

        frame = raise_points(read_cloud(path, format=cloud_format), up_m)
    except ImportError as error:
        raise UserError(f"{path}: reading it needs {error.name}, which is not installed; use .npy or .ply") from error
    for finding in find_point_faults(frame.points, frame.columns):
        if finding.is_error:
            raise UserError(f"{path}: {finding.text}")
        warn(f"{path}: {finding.text}", stacklevel=2)
    return frame.points
