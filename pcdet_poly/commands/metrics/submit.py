"""Write the detections of a run as the file that Waymo's evaluation server and tools take.

Without --account and --method, an `Objects` file, as Waymo's compute_detection_metrics_main and many other
projects read and write it; with them a `Submission`, which as .tar.gz is what the leaderboard takes.

Example: pcdet-poly submit runs/rsn --output rsn.tar.gz --account me@mail.org --method RSN
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.file_kinds import SUBMISSION
from pcdet_poly.commands.options import (
    add_output,
    parse_local_path,
    parse_natural_int,
    parse_number,
    parse_positive_int,
    parse_score,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.names.shown_names import print_line


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly submit`."""
    from pcdet_poly.config.sections.evaluation import SubmissionConfig

    default = SubmissionConfig()
    parser.add_argument("run", metavar="RUN", type=parse_local_path, help="folder of a run, or a detections .parquet")
    help = "file to write: predictions.bin, or NAME.tar.gz for the leaderboard"
    add_output(parser, help, metavar="FILE", parse=SUBMISSION, required=True)
    parser.add_argument(
        "--max-boxes", metavar="N", type=parse_positive_int, default=default.max_boxes, help="boxes per frame"
    )
    parser.add_argument(
        "--min-score", metavar="S", type=parse_score, default=default.min_score, help="smallest score written"
    )
    parser.add_argument("--account", metavar="E-MAIL", default="", help="account registered with Waymo")
    parser.add_argument("--method", metavar="NAME", default="", help="name of the method, at most 25 characters")
    parser.add_argument("--authors", metavar="NAME", nargs="*", default=[], help="names of the authors")
    parser.add_argument("--affiliation", metavar="NAME", default="", help="where they work")
    parser.add_argument("--description", metavar="TEXT", default="", help="what the method does")
    parser.add_argument("--link", metavar="URL", default="", help="to a paper or code")
    parser.add_argument(
        "--past-frames",
        metavar="N",
        type=parse_natural_int,
        help="earlier frames that a prediction has used (default: what the run's data.sweeps say)",
    )
    parser.add_argument("--latency-s", metavar="S", type=parse_number, default=0.0, help="seconds per frame")


def run(options: argparse.Namespace) -> None:
    """Write the file, and print how many boxes it has."""
    from pcdet_poly.config.sections.evaluation import SubmissionConfig
    from pcdet_poly.evaluation import read_detections, write_predictions, write_submission
    from pcdet_poly.evaluation.checks.rows import check_scores
    from pcdet_poly.evaluation.files.any_file import find_detections_file
    from pcdet_poly.evaluation.files.submission import is_archive

    path = find_detections_file(options.run)
    file = read_detections(path)
    for frame_id, frame in zip(file.frame_ids, file.detections, strict=True):
        check_scores(frame.score, f"{path}: {frame_id}")
    sweeps = file.provenance.sweeps or 1
    cfg = SubmissionConfig(
        max_boxes=options.max_boxes,
        min_score=options.min_score,
        account_name=options.account,
        unique_method_name=options.method,
        authors=tuple(options.authors),
        affiliation=options.affiliation,
        latency_s=options.latency_s,
        description=options.description,
        method_link=options.link,
        past_frames=sweeps - 1 if options.past_frames is None else options.past_frames,
    )
    of_method = options.account or options.method or is_archive(options.output)
    write = write_submission if of_method else write_predictions
    zones = file.in_no_label_zone
    num = write(options.output, file.frame_ids, file.detections, file.class_names, cfg, in_no_label_zone=zones)
    print_line(f"{options.output}: {num} boxes of {len(file.frame_ids)} frames")
