"""Options that several commands share: the same spelling, the same meaning, the same help everywhere."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable
from pathlib import Path

from pcdet_poly.errors import UserError
from pcdet_poly.figure_files import parse_figure_formats

_OVERRIDE = re.compile(r"[a-z_]+(\.\w+)+=")


def parse_local_path(text: str) -> Path:
    """Type of an argument that names a file or folder of this machine; `~` stands for the home folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; name a file or folder")
    return Path(os.path.expanduser(text))


def parse_path_or_url(text: str) -> str:
    """Type of an argument that is a path or a URL; `~` stands for the home folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; name a file, a folder or a URL")
    return os.path.expanduser(text)


def parse_positive_int(text: str) -> int:
    """Type of an argument that is a whole number, at least 1."""
    return _parse_int(text, 1)


def parse_natural_int(text: str) -> int:
    """Type of an argument that is a whole number, at least 0."""
    return _parse_int(text, 0)


def parse_number(text: str) -> float:
    """Type of an argument that is a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r}: a finite number needed")
    return value


def parse_positive_number(text: str) -> float:
    """Type of an argument that is a finite number above 0."""
    value = parse_number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: a number above 0 needed")
    return value


def parse_score(text: str) -> float:
    """Type of an argument that is a score, from 0 to 1."""
    value = parse_number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a score is from 0 to 1")
    return value


def add_overrides(parser: argparse.ArgumentParser, help: str) -> None:
    """Add `key=value` words, which end up in `overrides`."""
    parser.add_argument("overrides", metavar="key=value", nargs="*", help=help)


def add_plugin(parser: argparse.ArgumentParser) -> None:
    """Add --plugin, a module with the user's own detectors, losses or readers; it is imported as soon as it is read."""
    parser.add_argument(
        "--plugin",
        metavar="MODULE",
        action=_AdmitPlugin,
        help="module with your own detector, loss or reader, such as my_package.my_module; may be given again",
    )


class _AdmitPlugin(argparse.Action):
    """Imports the module and lets configs name what is in it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        from pcdet_poly.config.plugins import admit_plugin

        admit_plugin(str(values))


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add RUN, the folder of a run, and --plugin for what its config may name."""
    parser.add_argument("run", metavar="RUN", type=parse_local_path, help="folder that `pcdet-poly train` made")
    add_plugin(parser)


def add_output(
    parser: argparse.ArgumentParser,
    help: str,
    *,
    metavar: str = "DIR",
    parse: Callable[[str], Path] = parse_local_path,
    required: bool = False,
    default: Path | None = None,
) -> None:
    """Add --output, what the command writes.

    Args:
        parser: the command's parser.
        help: what is written there.
        metavar: DIR for a folder, FILE for a file.
        parse: type of the argument: of a file one of `file_kinds`.
        required: whether the command refuses to run without it.
        default: where it is written otherwise.
    """
    parser.add_argument("--output", metavar=metavar, type=parse, required=required, default=default, help=help)


def add_workers(parser: argparse.ArgumentParser, help: str = "processes that share the work") -> None:
    """Add --workers, one by default."""
    parser.add_argument("--workers", metavar="N", type=parse_positive_int, default=1, help=help)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if there is one"
    )


def add_checkpoint(parser: argparse.ArgumentParser, help: str, *, default: str | None = "last") -> None:
    """Add --checkpoint: `best`, `last`, or a file of the run or elsewhere.

    Args:
        parser: the command's parser.
        help: what it is for.
        default: what is used otherwise.
    """
    parser.add_argument("--checkpoint", metavar="best|last|FILE", type=parse_path_or_url, default=default, help=help)


def add_min_score(parser: argparse.ArgumentParser, help: str, *, default: float) -> None:
    """Add --min-score, which some commands called --score before.

    Args:
        parser: the command's parser.
        help: what it is for.
        default: what is used otherwise.
    """
    parser.add_argument("--min-score", "--score", metavar="S", type=parse_score, default=default, help=help)


def add_figure_formats(parser: argparse.ArgumentParser, *, with_old_name: bool = True) -> None:
    """Add --picture-format: png, svg, pdf, or several with commas.

    Args:
        parser: the command's parser.
        with_old_name: whether the name that the option had before, --format, means the same; not where it is of data.
    """
    parser.add_argument(
        "--picture-format",
        *(["--format"] if with_old_name else []),
        type=parse_figure_formats,
        dest="formats",
        metavar="F,F",
        default=("png",),
        help="of pictures: png, svg, pdf, or several, as svg,pdf (default: png)",
    )


def add_theme(parser: argparse.ArgumentParser) -> None:
    """Add --theme: the ground of pictures."""
    parser.add_argument(
        "--theme", choices=("light", "dark"), default="light", help="ground of pictures (default: light)"
    )


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Add --precision, how exactly a store keeps coordinates."""
    parser.add_argument(
        "--precision",
        choices=("compact", "exact"),
        default="compact",
        help="compact: coordinates to 2 mm, a third of the size; exact: float32 bit for bit",
    )


def add_on_error(parser: argparse.ArgumentParser) -> None:
    """Add --on-error, what happens at data that cannot be read or cannot be meant."""
    parser.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="at a frame that cannot be read or meant (default: stop); skip leaves it out and names it",
    )


def add_replace(parser: argparse.ArgumentParser) -> None:
    """Add --replace, whether other data may take the place of what the store has under its name."""
    parser.add_argument(
        "--replace", action="store_true", help="put data of a name that the store has from elsewhere in its place"
    )


def add_allow(parser: argparse.ArgumentParser) -> None:
    """Add --allow, errors that an unusual data set may mean."""
    from pcdet_poly.checks.findings import ALLOWABLE

    parser.add_argument(
        "--allow",
        choices=ALLOWABLE,
        metavar="NAME",
        nargs="+",
        default=[],
        help="errors that are meant; each says its name",
    )


def split_overrides(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the stores and the `section.key=value` words of a list that an option took both of."""
    overrides = [word for word in words if _OVERRIDE.match(word) and not os.path.exists(word)]
    return [word for word in words if word not in overrides], overrides


def split_run(path: Path, checkpoint: str) -> tuple[Path, str]:
    """Return the run's folder and its checkpoint where `path` names a checkpoint file of a run.

    Args:
        path: what stands for RUN: a run's folder, or a file in its folder `checkpoints`.
        checkpoint: what --checkpoint says.

    Returns:
        The folder and the checkpoint to use; both unchanged where `path` is a folder.

    Raises:
        UserError: where `path` is a file that lies in no run's folder, or --checkpoint names another one.
    """
    if not path.is_file():
        return path, checkpoint
    folder = path.absolute().parent.parent
    if path.absolute().parent.name != "checkpoints" or not (folder / "config.yaml").is_file():
        raise UserError(
            f"{path}: a file, and not in the checkpoints/ of a run; name the run's folder and --checkpoint FILE"
        )
    if checkpoint != "last":
        raise UserError(f"{path}: a checkpoint already, and --checkpoint {checkpoint} names another; give one of them")
    return path.parent.parent, str(path)


def _parse_int(text: str, least: int) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number, at least {least}, needed")
    return int(text)
