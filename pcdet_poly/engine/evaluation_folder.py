"""Where an evaluation is written: the run's folder, or one beside it for other data or settings."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from pcdet_poly.engine.checkpoint import config_hash, config_values, find_first_difference
from pcdet_poly.engine.run import Run, open_run
from pcdet_poly.names.file_names import simplify_file_name

EVALUATIONS = "evaluations"  # in the folder of a run
# With other values of these, an evaluation finds the same: what is drawn, and how much is done at once.
_CHANGES_NOTHING = frozenset(
    {
        *("evaluation.pictures", "evaluation.picture_score", "evaluation.batch_size", "evaluation.best_by"),
        *("data.train", "data.workers", "train.threads", "train.tracker", "train.tracker_project"),
    }
)


def choose_evaluation_folder(run: Run, overrides: Sequence[str]) -> Path:
    """Return the run's folder where it is evaluated as its own config says, else a folder in RUN/evaluations/.

    That folder is named after the stores and the settings that differ. One that holds an evaluation of something else
    is never chosen.

    Args:
        run: the run as it was opened.
        overrides: the `section.key=value` settings that it was opened with.
    """
    own = config_values(open_run(run.folder, [], run.device).config)
    here = config_values(run.config)
    has_other_data = _resolve_paths(own["data"]["val"]) != _resolve_paths(here["data"]["val"])
    ignored = _CHANGES_NOTHING | {"data.val"}
    if not has_other_data and find_first_difference(own, here, ignore=ignored) is None:
        return run.folder
    stores = [Path(os.path.normpath(store)).name for store in here["data"]["val"]] if has_other_data else []
    settings = [text for text in overrides if not text.startswith("data.val=")]
    name = simplify_file_name(",".join(["+".join(stores)] * has_other_data + settings))
    wanted = (config_hash(here), here["data"]["val"])
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    folders = (run.folder / EVALUATIONS / one for one in names)
    return next(folder for folder in folders if _read_identity(folder) in (None, wanted))


def _resolve_paths(folders: Sequence[str]) -> list[str]:
    return [folder if "://" in folder else os.path.realpath(folder) for folder in folders]


def _read_identity(folder: Path) -> tuple[Any, Any] | None:
    """Return what the metrics.json of a folder is of: hash of the config, stores; None where there is none."""
    try:
        meta = json.loads((folder / "metrics.json").read_text())["meta"]
    except (OSError, ValueError, KeyError, TypeError):
        return None if not folder.exists() else ("", [])
    return meta.get("config_hash"), meta.get("data")
