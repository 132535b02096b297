"""Where an evaluation is written: the run's folder, or one beside it for other data or settings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from pcdet_poly.distributed import is_set_in_any_process, rank
from pcdet_poly.engine.checkpoint import config_hash, config_values, find_first_difference
from pcdet_poly.engine.run import Run, open_run
from pcdet_poly.errors import UserError
from pcdet_poly.locks import lock_file
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
    own, here = open_run(run.folder, [], run.device).config, run.config
    has_other_data = _resolve_paths(own.data.val) != _resolve_paths(here.data.val)
    changed = find_first_difference(config_values(own), config_values(here), ignore=_CHANGES_NOTHING | {"data.val"})
    if not has_other_data and changed is None:
        return run.folder
    stores = [Path(os.path.normpath(store)).name for store in here.data.val] if has_other_data else []
    settings = [text for text in overrides if not text.startswith("data.val=")]
    name = simplify_file_name(",".join(["+".join(stores)] * has_other_data + settings))
    wanted = (config_hash(config_values(here)), list(here.data.val))
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    folders = (run.folder / EVALUATIONS / one for one in names)
    return next(folder for folder in folders if _read_identity(folder) in (None, wanted))


@contextmanager
def lock_evaluation(folder: Path) -> Iterator[None]:
    """Lock what an evaluation writes into a folder: another one there would mix its files with ours.

    A training in the same folder is not kept out; its evaluations take no lock. Raises UserError, in all of the
    processes, where another evaluation goes on in the folder.
    """
    busy: UserError | None = None
    with ExitStack() as stack:
        if rank() == 0:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                stack.callback(_remove_if_empty, folder)
                stack.enter_context(lock_file(folder / "metrics.json", work="evaluation"))
            except UserError as error:
                busy = error
        if is_set_in_any_process(busy is not None):
            raise busy or UserError(f"{folder}: another evaluation is writing here")
        yield


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # something is in it
        folder.rmdir()


def _resolve_paths(folders: Sequence[str]) -> list[str]:
    return [folder if "://" in folder else os.path.realpath(folder) for folder in folders]


def _read_identity(folder: Path) -> tuple[Any, Any] | None:
    """Return what the metrics.json of a folder is of: hash of the config, stores; None where there is none."""
    try:
        meta = json.loads((folder / "metrics.json").read_text("utf-8"))["meta"]
        return meta.get("config_hash"), meta.get("data")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None if not folder.exists() else ("", [])
