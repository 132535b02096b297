"""Detect objects in point clouds: `python -m pcdet_poly.detect runs/NAME CLOUD [CLOUD ...] --output FOLDER`.

Reads .npz, .npy, .bin, .pcd and .ply; writes a picture (PNG) and the boxes (JSON) of each cloud.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcdet_poly.errors import UserError, run_command

if TYPE_CHECKING:
    from pcdet_poly.config.schema import Config
    from pcdet_poly.structures import Detections, Frame


def main() -> int:
    """Parse, load, detect, draw."""
    parser = argparse.ArgumentParser(
        prog="python -m pcdet_poly.detect", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="folder that train.py made")
    parser.add_argument("clouds", metavar="CLOUD", nargs="+", help="point cloud files, or folders of them")
    parser.add_argument("--output", type=Path, metavar="FOLDER", default=Path("detections"), help="default: detections")
    parser.add_argument("--checkpoint", default="last", metavar="best|last|PATH", help="default: last")
    parser.add_argument("--score", type=float, default=0.3, help="smallest score written and drawn (default: 0.3)")
    parser.add_argument(
        "--bin-columns", type=int, default=4, metavar="N", help="numbers per point in .bin files (default: 4, KITTI's)"
    )
    parser.add_argument(
        "--up", type=float, default=0.0, metavar="M", help="raise points by this, so that ground is at 0"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if there is one"
    )
    arguments = parser.parse_args()
    paths = _cloud_files(arguments.clouds)

    from pcdet_poly.data.convert.point_clouds import read_cloud
    from pcdet_poly.engine.detector import Detector

    detector = Detector.load(arguments.run, checkpoint=arguments.checkpoint, device=arguments.device)
    for path in paths:
        frame = _raised(read_cloud(path, bin_columns=arguments.bin_columns), arguments.up)
        (found,) = detector.detect([frame])
        found = found[found.score >= arguments.score]
        _write(arguments.output / path.name, frame, found, detector.config)
        print(f"{path}: {len(frame.points):,} points, {_counted(found, detector.class_names)}")
    print(f"{arguments.output}: a .png and a .json for each of {len(paths)} clouds")
    return 0


def _cloud_files(names: list[str]) -> list[Path]:
    from pcdet_poly.data.convert.point_clouds import FORMATS

    found: list[Path] = []
    for path in map(Path, names):
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in FORMATS) if path.is_dir() else [path]
        if not inside:
            raise UserError(f"{path}: no point cloud in it; files end in {', '.join(FORMATS)}")
        found += inside
    if twice := next((path for path in found if sum(path.name == other.name for other in found) > 1), None):
        raise UserError(
            f"{twice.name}: two clouds have this name and would overwrite each other; name them in two calls"
        )
    return found


def _raised(frame: Frame, metres: float) -> Frame:
    from dataclasses import replace

    if not metres:
        return frame
    points = frame.points.copy()
    points[:, frame.columns.index("z")] += metres
    return replace(frame, points=points)


def _write(path: Path, frame: Frame, found: Detections, config: Config) -> None:
    from pcdet_poly.data.load.collate import relabel
    from pcdet_poly.files import write_json
    from pcdet_poly.visualization.bev import draw_bev

    path.parent.mkdir(parents=True, exist_ok=True)
    (x0, y0, _), (x1, y1, _) = config.grid.lower, config.grid.upper
    draw_bev(
        path.with_name(path.name + ".png"),
        frame.points,
        relabel(frame, config.data.classes),
        found,
        class_names=config.data.classes,
        title=path.name,
        limits=(x0, y0, x1, y1),
    )
    write_json(path.with_name(path.name + ".json"), _content(found, config.data.classes))


def _content(found: Detections, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Boxes in words: metres, radians, vehicle frame."""
    names = ("x", "y", "z", "length", "width", "height", "heading")
    rows = zip(found.box.tolist(), found.label.tolist(), found.score.tolist(), strict=True)
    boxes = [
        {"class": class_names[label], "score": score, **dict(zip(names, box, strict=True))}
        for box, label, score in rows
    ]
    return {"boxes": boxes}


def _counted(found: Detections, class_names: tuple[str, ...]) -> str:
    counts = [f"{int((found.label == i).sum())} {name.lower()}" for i, name in enumerate(class_names)]
    return ", ".join(counts)


if __name__ == "__main__":
    sys.exit(run_command(main))
