"""Trials of a sweep in one process, several in lockstep. Each leaves behind what it would leave alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.trial import begin_trial, take_turn


def train_group(folder: SweepFolder, names: Sequence[str], *, num_gpus: int) -> int:
    """Train one trial or several to their ends, and write down how each ended.

    What is printed goes to the log of the first. One whose training fails ends alone, and its reason is the last line
    of its own log.

    Args:
        folder: the sweep's folder.
        names: the trials; their settings differ in losses and optimisation alone.
        num_gpus: 0 for the CPU, 1 for a GPU.

    Returns:
        The exit code: 0, or 1 where a trial failed.

    Raises:
        UserError: what ends all of them.
        KeyboardInterrupt: where somebody asked to stop; all have saved.
    """
    from pcdet_poly.config.load import load_config
    from pcdet_poly.engine.frames import open_training_frames, open_validation_frames, warn_of_shared_frames
    from pcdet_poly.engine.processes import join_processes
    from pcdet_poly.engine.run import lock_run
    from pcdet_poly.engine.start import prepare_run
    from pcdet_poly.engine.train import train_in_lockstep

    ends = _Ends(folder, names)
    for name in names:
        take_turn(folder, name)
        begin_trial(folder, name)
    configs = {name: load_config(folder.config_path(name)) for name in names}
    with join_processes("cuda" if num_gpus else "cpu") as device, ExitStack() as locks:
        frames, validation = open_training_frames(configs[names[0]]), open_validation_frames(configs[names[0]])
        runs = {}
        for name, config in configs.items():
            with ends.record_failure(name):
                locks.enter_context(lock_run(folder.run_path(name)))
                runs[name] = prepare_run(config, frames, folder.run_path(name), device, resume=True)
        warn_of_shared_frames(frames, validation)
        try:
            errors = train_in_lockstep(list(runs.values()), frames, validation)
        except KeyboardInterrupt as stop:
            stop.add_note("saved; run the sweep again to go on")
            raise
    for name, error in zip(runs, errors, strict=True):
        ends.record(name, error)
    return 1 if ends.num_failed else 0


class _Ends:
    """Writes down how the trials of a group end."""

    def __init__(self, folder: SweepFolder, names: Sequence[str]) -> None:
        self._folder, self._names = folder, names
        self._start_s = time.monotonic()
        self.num_failed = 0
        for name in names[1:]:
            self._print_to_log(name, f"in lockstep with {names[0]}, whose log has what both print")

    def record(self, name: str, error: UserError | None) -> None:
        """Write down the end of one; its share of the time counts as its own."""
        if error is not None:
            self.num_failed += 1
            self._print_to_log(name, f"error: {error}")
        seconds = (time.monotonic() - self._start_s) / len(self._names)
        self._folder.record_end(name, 0 if error is None else 1, seconds)

    @contextmanager
    def record_failure(self, name: str) -> Iterator[None]:
        """Write down a UserError that the block raises: it ends this trial alone."""
        try:
            yield
        except UserError as error:
            self.record(name, error)

    def _print_to_log(self, name: str, line: str) -> None:
        path = self._folder.log_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as log:
            print(line, file=log)
