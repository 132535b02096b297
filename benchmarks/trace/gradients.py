"""Run a script and write a digest of all gradients at every step of its optimiser.

    python -m benchmarks.trace.gradients OUTPUT.json SCRIPT [ARGUMENT ...]

The gradients are those that the optimiser sees: summed over accumulated batches, clipped. They stand in the order of
the optimiser's parameters, which is part of a checkpoint's format. Nothing of the project is imported here: torch
itself tells of every step.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from benchmarks.trace.digest import digest_tensors


def main() -> None:
    """Run the script of the command line, as if it had been called by itself."""
    output, *command = sys.argv[1:]
    steps: list[str] = []

    def note_gradients(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
        steps.append(digest_tensors(parameter.grad for parameter in parameters))

    register_optimizer_step_pre_hook(note_gradients)
    sys.argv = command
    try:
        runpy.run_path(command[0], run_name="__main__")
    finally:
        Path(output).write_text(json.dumps(steps))


if __name__ == "__main__":
    main()
