"""Detections of a run -> the file that Waymo's evaluation server and tools take.

Without --account and --method, an `Objects` file, as Waymo's compute_detection_metrics_main and many other
projects read and write it; with them, a `Submission` for the leaderboard.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcdet_poly.config.sections.evaluation import SubmissionConfig
from pcdet_poly.errors import run_command


def main() -> int:
    """Parse and write."""
    default = SubmissionConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detections", metavar="RUN", type=Path, help="folder of a run, or a detections .parquet")
    parser.add_argument("--output", metavar="FILE.bin", type=Path, required=True)
    parser.add_argument(
        "--max-boxes", metavar="N", type=int, default=default.max_boxes, help="per frame (default: 200)"
    )
    parser.add_argument("--min-score", metavar="S", type=float, default=default.min_score, help="default: 0")
    parser.add_argument("--account", metavar="E-MAIL", default="", help="account registered with Waymo")
    parser.add_argument("--method", metavar="NAME", default="", help="name of the method, at most 25 characters")
    parser.add_argument("--authors", metavar="NAME", nargs="*", default=[])
    parser.add_argument("--affiliation", default="")
    parser.add_argument("--latency-s", metavar="S", type=float, default=0.0, help="seconds per frame")
    arguments = parser.parse_args()

    from pcdet_poly.evaluation import read_detections, write_predictions, write_submission
    from pcdet_poly.evaluation.files.any_file import detections_path

    file = read_detections(detections_path(arguments.detections))
    cfg = SubmissionConfig(
        max_boxes=arguments.max_boxes,
        min_score=arguments.min_score,
        account_name=arguments.account,
        unique_method_name=arguments.method,
        authors=tuple(arguments.authors),
        affiliation=arguments.affiliation,
        latency_s=arguments.latency_s,
    )
    write = write_submission if arguments.account or arguments.method else write_predictions
    num = write(arguments.output, file.frame_ids, file.detections, file.class_names, cfg)
    print(f"{arguments.output}: {num} boxes of {len(file.frame_ids)} frames")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
