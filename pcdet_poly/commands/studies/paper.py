"""Repeat the paper's comparisons at a small scale, and report them in the order of its Table 1.

Trains networks on real digits (pip install 'pcdet_poly[images]'). 3D rows are read from studies that are there; where
none is, detectors are trained on simulated frames. Writes paper.md, paper.html, rows.csv and figures. What is trained
is kept: run the same command again after an interruption.

Example: pcdet-poly paper --quick --output paper
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pcdet_poly.commands.detectors.demo import list_data_steps, run_step
from pcdet_poly.commands.options import add_output, parse_local_path
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.config.find import find_config
from pcdet_poly.errors import UserError, suggest_path, suggest_word
from pcdet_poly.experiments.paper.rows import TASKS, Task
from pcdet_poly.locks import lock_folder
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.signals import explain_stop

if TYPE_CHECKING:
    from pcdet_poly.experiments.paper.rows import PaperRow


class ImageStudy(Protocol):
    """A study that trains what is not in its folder yet, and returns rows of the report."""

    def __call__(self, output: Path, *, quick: bool) -> list[PaperRow]:
        """Run it."""


_STUDIES = (Path("docs/studies"), Path("sweeps"))
_QUICK_SEEDS = 3  # of detectors; a test needs as many


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly paper`."""
    add_output(parser, "folder of the report and of what is trained (default: paper)", default=Path("paper"))
    parser.add_argument("--quick", action="store_true", help="few losses and seeds, short trainings: minutes")
    parser.add_argument(
        "--parts", type=parse_parts, default=TASKS, metavar="P,P", help=f"of {', '.join(TASKS)} (default: all)"
    )
    parser.add_argument(
        "--studies",
        nargs="+",
        type=parse_local_path,
        metavar="DIR",
        help="folders of studies for the 3D rows (default: docs/studies and sweeps, if they are there)",
    )


def parse_parts(text: str) -> tuple[Task, ...]:
    """Type of an argument that names parts with commas between them; they come in the paper's order."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    every = f"; parts are {', '.join(TASKS)}"
    for word in words:
        if word not in TASKS:
            raise argparse.ArgumentTypeError(f"{word!r}: no such part{suggest_word(word, TASKS) or every}")
    if not words:
        raise argparse.ArgumentTypeError(f"names none{every}")
    return tuple(task for task in TASKS if task in words)


def run(options: argparse.Namespace) -> int:
    """Run every part, write the report, print what was written. Returns a step's exit code where one failed."""
    output, quick, parts = options.output, options.quick, options.parts
    if missing := next((folder for folder in options.studies or () if not folder.is_dir()), None):
        raise UserError(f"--studies {missing}: no such folder{suggest_path(str(missing))}")
    kept = f"{output}: what was trained is kept; run the same command again to go on"
    with lock_folder(output, work="paper report", instead="choose another --output"), explain_stop(lambda: kept):
        studies = list_image_studies(parts)
        rows = [row for name, run_study in studies for row in run_study(output / name, quick=quick)]
        if {"vehicles", "pedestrians"} & set(parts):
            files, code = find_detector_studies(options.studies, output / "detectors", quick=quick)
            if code:
                return code
            rows += read_detector_rows(files)
        from pcdet_poly.experiments.paper.write import write_report

        for path in write_report(output, [row for row in rows if row.task in parts], quick=quick):
            print_line(path)
    return 0


def list_image_studies(parts: Sequence[Task]) -> list[tuple[str, ImageStudy]]:
    """List the studies of images that some parts need, with the names of their folders.

    All are imported before any begins: a package that is missing is told at once.
    """
    studies: list[tuple[str, ImageStudy]] = []
    if "classification" in parts:
        from pcdet_poly.experiments.classification.study import prepare_digits
        from pcdet_poly.experiments.classification.study import run_study as classify

        prepare_digits()
        studies.append(("classification", classify))
    if "detection" in parts or "masks" in parts:
        from pcdet_poly.experiments.image_detection.study import run_study as detect

        studies.append(("detection", detect))
    return studies


def find_detector_studies(folders: Sequence[Path] | None, own: Path, *, quick: bool) -> tuple[list[Path], int]:
    """Find the tables of studies of 3D detectors, and where there is none run one.

    Args:
        folders: that hold studies; None for the usual ones.
        own: folder of the study that is run.
        quick: fewer seeds in that study.

    Returns:
        The tables, and 0, or the exit code of the step that failed.
    """
    from pcdet_poly.experiments.paper.detector_studies import find_runs_files

    files = find_runs_files(_STUDIES if folders is None else folders)
    if files:
        return files, 0
    for step in list_detector_steps(own, quick=quick):
        print_line(f"$ pcdet-poly {shlex.join(step)}", flush=True)
        if code := run_step(step):
            return [], code
    return find_runs_files([own]), 0


def list_detector_steps(folder: Path, *, quick: bool) -> list[list[str]]:
    """List the words of the commands that simulate frames, train detectors on them and write the table."""
    stores = {"data.train": folder / "stores/training", "data.val": folder / "stores/validation"}
    data = [f"{key}={json.dumps([str(store.absolute())])}" for key, store in stores.items()]
    sweep, fewer = str(folder / "paper"), ["--first-seeds", str(_QUICK_SEEDS)] if quick else []
    train = ["sweep", str(find_config("paper", "sweeps")), *data, "--output", sweep, "--workers", "1", *fewer]
    report = ["report", sweep, "--frames", "0", "--histogram-frames", "0", "--resamples", "100"]
    return [*list_data_steps(folder, workers=1), train, report]


def read_detector_rows(files: Sequence[Path]) -> list[PaperRow]:
    """Read the rows of all studies."""
    from pcdet_poly.experiments.paper.detector_studies import read_study_rows

    return [row for path in files for row in read_study_rows(path)]
