"""Detect objects in point clouds: writes a picture (PNG) and the boxes (JSON) of each cloud.

Reads .npz, .npy, .bin, .pcd and .ply.

Example: pcdet-poly detect runs/centerpoint_pillar cloud.ply scans/ --output detections
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcdet_poly.commands.options import (
    add_checkpoint,
    add_device,
    add_figure_formats,
    add_min_score,
    add_output,
    add_run,
    add_theme,
    parse_local_path,
    parse_number,
    parse_positive_int,
    split_run,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError, suggest_path
from pcdet_poly.figure_files import FIGURE_FORMATS
from pcdet_poly.names.shown_names import print_line

if TYPE_CHECKING:
    from pcdet_poly.config.schema import Config
    from pcdet_poly.runtime import FoundBoxes
    from pcdet_poly.structures import Detections, Frame

# The names of data/convert/formats/cloud_files.py and engine/runtimes.py, which are imported when clouds are read.
CLOUD_FORMATS = ("kitti", "nuscenes", "openpcdet", "waymo-npy", "waymo-tanh", "argoverse2")
RUNTIMES = ("torch", "onnxruntime", "openvino", "int8", "auto")


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly detect`."""
    add_run(parser)
    add_clouds(parser, parse_format=_refuse_picture_formats)
    add_output(parser, "folder for the pictures and boxes", default=Path("detections"))
    add_checkpoint(parser, "default: last")
    add_min_score(parser, "smallest score written and drawn", default=0.3)
    parser.add_argument(
        "--bin-columns",
        type=parse_positive_int,
        metavar="N",
        help="numbers per point in .bin files, the fifth being the elongation (default: 4); rather name the --format",
    )
    add_figure_formats(parser, with_old_name=False)
    add_theme(parser)
    add_device(parser)
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="torch",
        help="what runs the network on a CPU: torch, onnxruntime, openvino, int8 (see export --int8), or auto, the "
        "fastest here, measured once (default: torch)",
    )


def add_clouds(parser: CommandParser, *, parse_format: Callable[[str], str] = str) -> None:
    """Add CLOUD, what is looked at, with --up and --format, how it is read.

    Args:
        parser: the command's parser.
        parse_format: type of --format.
    """
    parser.add_argument(
        "clouds", metavar="CLOUD", nargs="+", type=parse_local_path, help="point cloud files, or folders of them"
    )
    parser.add_argument(
        "--up", type=parse_number, default=0.0, metavar="M", help="raise points by this, so that ground is at 0"
    )
    parser.add_argument(
        "--format",
        dest="cloud_format",
        metavar="NAME",
        type=parse_format,
        choices=CLOUD_FORMATS,
        help=f"of the clouds: {', '.join(CLOUD_FORMATS)} (default: by their ending)",
    )


def run(options: argparse.Namespace) -> None:
    """Detect in every cloud, write and draw what was found."""
    folder, checkpoint = split_run(options.run, options.checkpoint)
    if options.bin_columns and options.cloud_format:
        raise UserError(
            f"--bin-columns {options.bin_columns}: --format {options.cloud_format} says that; leave one out"
        )
    paths = find_clouds(options.clouds, options.cloud_format)

    from pcdet_poly.data.convert.point_clouds import read_cloud
    from pcdet_poly.engine.detector import Detector

    detector = Detector.load(folder, checkpoint=checkpoint, device=options.device, runtime=options.runtime)
    if missing := next((path for path in paths if not path.exists()), None):
        raise UserError(f"{missing}: no such file{suggest_path(missing) or '; check the path'}")
    for path in paths:
        with print_warnings(path):
            cloud = read_cloud(path, bin_columns=options.bin_columns, format=options.cloud_format)
            frame = raise_points(cloud, options.up)
            (found,) = detector.detect([frame])
        found = found[found.score >= options.min_score]
        _write_detections(options.output / path.name, frame, found, detector.config, options)
        print_line(f"{path}: {len(frame.points):,} points, {describe_counts(found, detector.class_names)}")
    print_line(f"{options.output}: a picture and a .json for each of {len(paths)} clouds")


@contextmanager
def print_warnings(path: Path) -> Iterator[None]:
    """Print the warnings of a block as one line each on stderr, with the file that they concern."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield
    for warning in found:
        text = str(warning.message).removeprefix(f"{path}: ")
        print_line(f"warning: {path}: {text}", file=sys.stderr)


def _refuse_picture_formats(text: str) -> str:
    """Type of an argument that names the format of clouds, as that of pictures was given before, too."""
    words = text.split(",")
    if pictures := [word for word in words if word in FIGURE_FORMATS]:
        clouds = [f"--format {word}" for word in words if word not in pictures]
        raise argparse.ArgumentTypeError(
            f"{text} has formats of pictures; give {' '.join([*clouds, '--picture-format', ','.join(pictures)])}"
        )
    return text


def find_clouds(given: list[Path], cloud_format: str | None = None) -> list[Path]:
    """Return the point cloud files among `given` and in the folders among them, of one format if it is named.

    Raises UserError for what is none.
    """
    from pcdet_poly.data.convert.formats import cloud_files
    from pcdet_poly.data.convert.point_clouds import FORMATS
    from pcdet_poly.foreign_files import is_foreign, print_skipped

    endings = cloud_files.CLOUD_FORMATS[cloud_format].endings if cloud_format else FORMATS
    found: list[Path] = []
    for path in given:
        inside = [path]
        if path.is_dir():
            files = [file for file in sorted(path.iterdir()) if file.is_file()]
            inside = [file for file in files if file.suffix.lower() in endings and not is_foreign(file, path)]
            if not inside:
                raise UserError(f"{path}: no point cloud in it; files end in {', '.join(endings)}")
            print_skipped(path, [file for file in files if file not in inside])
        found += inside
    if twice := next((path for path in found if sum(path.name == other.name for other in found) > 1), None):
        raise UserError(
            f"{twice.name}: two clouds have this name and would overwrite each other; name them in two calls"
        )
    return found


def raise_points(frame: Frame, metres: float) -> Frame:
    """Raise the points of a frame by so many metres."""
    from dataclasses import replace

    if not metres:
        return frame
    points = frame.points.copy()
    points[:, frame.columns.index("z")] += metres
    return replace(frame, points=points)


def _write_detections(path: Path, frame: Frame, found: Detections, config: Config, options: argparse.Namespace) -> None:
    from pcdet_poly.data.load.collate import move_zones_to_vehicle, relabel_objects
    from pcdet_poly.engine.provenance import describe_detector
    from pcdet_poly.files import write_json
    from pcdet_poly.visualization.bev import draw_bev

    path.parent.mkdir(parents=True, exist_ok=True)
    (x0, y0, _), (x1, y1, _) = config.grid.lower, config.grid.upper
    for kind in options.formats:
        draw_bev(
            path.with_name(f"{path.name}.{kind}"),
            frame.points,
            relabel_objects(frame, config.data.classes),
            found,
            class_names=config.data.classes,
            title=path.name,
            limits=(x0, y0, x1, y1),
            min_score=options.min_score,
            theme=options.theme,
            zones=move_zones_to_vehicle(frame),
        )
    made_by = {
        "classes": config.data.classes,
        **describe_detector(split_run(options.run, "last")[0].name, config).to_json(),
    }
    write_json(path.with_name(path.name + ".json"), describe_boxes(found, config.data.classes) | {"made_by": made_by})


def describe_boxes(found: Detections | FoundBoxes, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Return boxes in words: metres, radians, vehicle frame."""
    names = ("x", "y", "z", "length", "width", "height", "heading")
    rows = zip(found.box.tolist(), found.label.tolist(), found.score.tolist(), strict=True)
    boxes = [
        {"class": class_names[label], "score": score, **dict(zip(names, box, strict=True))}
        for box, label, score in rows
    ]
    return {"boxes": boxes}


def describe_counts(found: Detections | FoundBoxes, class_names: tuple[str, ...]) -> str:
    """Say how many objects of each class were found, in words."""
    counts = [f"{int((found.label == i).sum())} {name.lower()}" for i, name in enumerate(class_names)]
    return ", ".join(counts)
