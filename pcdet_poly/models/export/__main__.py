"""`python -m pcdet_poly.models.export RUN --onnx [FILE]`: the run's network as an ONNX file, checked against PyTorch.

Beside it goes a .json that says how to feed it: columns, grid, classes, meaning of the outputs. Needs the extra
`pip install pcdet_poly[onnx]`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pcdet_poly.errors import UserError, run_command

if TYPE_CHECKING:
    from pcdet_poly.config.schema import Config

TOLERANCE = 1e-3  # of a map, relative to its largest value


def main() -> int:
    """Load, export, check."""
    parser = argparse.ArgumentParser(
        prog="python -m pcdet_poly.models.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="folder that train.py made")
    parser.add_argument(
        "--onnx", nargs="?", const="", required=True, metavar="FILE", help="write ONNX (default FILE: RUN/model.onnx)"
    )
    parser.add_argument("--checkpoint", default="last", metavar="best|last|PATH", help="default: last")
    arguments = parser.parse_args()
    path = Path(arguments.onnx) if arguments.onnx else arguments.run / "model.onnx"
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is not installed; pip install onnx onnxruntime onnxscript") from None

    from pcdet_poly.engine.detector import Detector
    from pcdet_poly.files import write_json
    from pcdet_poly.models.export.check import largest_difference
    from pcdet_poly.models.export.network import OUTPUT_OPSET, export_onnx
    from pcdet_poly.models.pillar_detector import PillarDetector

    detector = Detector.load(arguments.run, checkpoint=arguments.checkpoint, device="cpu")
    names = export_onnx(detector.model, path)
    write_json(path.with_suffix(".json"), _description(detector.config, names))
    difference = largest_difference(cast(PillarDetector, detector.model), path)
    if difference > TOLERANCE:
        path.unlink()
        raise UserError(f"{path}: onnxruntime differs from PyTorch by {difference:.1e} of a map's range; not written")
    print(
        f"{path}: opset {OUTPUT_OPSET}, outputs {', '.join(names)}; onnxruntime and PyTorch differ by "
        f"{difference:.1e} of a map's range at most"
    )
    return 0


def _description(config: Config, outputs: list[str]) -> dict[str, Any]:
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


if __name__ == "__main__":
    sys.exit(run_command(main))
