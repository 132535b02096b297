"""The report of a study: `python -m pcdet_poly.experiments.report SWEEP_DIR`.

Writes report.md with a figure per model, report.html (one page that needs no network), runs.csv and differences.csv.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pcdet_poly.errors import run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, compute, write; print what was written."""
    options = _parser().parse_args(arguments)
    from pcdet_poly.experiments.figures import save
    from pcdet_poly.experiments.report.detector_report import Sizes, results_of
    from pcdet_poly.experiments.report.finished_sweep import read_study
    from pcdet_poly.experiments.report.formats.differences_figure import draw_differences
    from pcdet_poly.experiments.report.formats.markdown import differences_csv, figure_name, markdown, runs_csv
    from pcdet_poly.experiments.report.formats.web_page import page
    from pcdet_poly.experiments.sweep.folder import SweepFolder
    from pcdet_poly.files import atomic_path

    study = read_study(SweepFolder(options.sweep))
    for one in study.excluded:
        print(f"warning: {one.trial} is in no number: {one.reason}", file=sys.stderr)
    sizes = Sizes(options.resamples, options.histogram_frames, options.frames, options.points)
    results = results_of(study, sizes)
    texts = {
        "report.md": markdown(study, results),
        "report.html": page(study, results),
        "runs.csv": runs_csv(results),
        "differences.csv": differences_csv(results),
    }
    output = options.output or options.sweep / "report"
    for name, text in texts.items():
        with atomic_path(output / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(output / name)
    for result in results:
        print(save(draw_differences(result), output / figure_name(result)))
    return 0


def _parser() -> argparse.ArgumentParser:
    from pcdet_poly.workers import worker_count

    parser = argparse.ArgumentParser(
        prog="python -m pcdet_poly.experiments.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", metavar="SWEEP_DIR", type=Path, help="folder that sweep made")
    parser.add_argument("--output", metavar="DIR", type=Path, help="default: SWEEP_DIR/report")
    parser.add_argument("--resamples", type=worker_count, default=400, help="of the segments (default: 400)")
    parser.add_argument("--frames", type=int, default=4, help="frames to show (default: 4)")
    parser.add_argument("--points", type=int, default=20_000, help="LiDAR points shown per frame (default: 20000)")
    parser.add_argument(
        "--histogram-frames", type=int, default=16, help="frames for P_t, a forward pass each (default: 16, 0: none)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
