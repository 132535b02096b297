"""The losses since the last log line: their means, and the guard against NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pcdet_poly.distributed import gather_to_first, sum_over_processes, world_size
from pcdet_poly.errors import UserError

SKIPPED = "skipped_steps"  # 1 in steps that the loss scale of fp16 skipped: NaN is normal there


@dataclass
class LossWindow:
    """Named numbers of each step since the last log line. They stay on their device until someone asks."""

    names: tuple[str, ...] = ()
    steps: list[int] = field(default_factory=list)
    frame_ids: list[tuple[str, ...]] = field(default_factory=list)  # of this process
    values: list[Tensor] = field(default_factory=list)  # each (len(names),) float32, means over processes

    def add(self, step: int, frame_ids: tuple[str, ...], values: Mapping[str, Tensor]) -> None:
        """Append what one step gave; does not wait for the device.

        Args:
            step: number of the step.
            frame_ids: frames that this process saw in it.
            values: named scalars, on any device; their mean over processes is kept.
        """
        if self.names != tuple(values):
            self.clear()  # a checkpoint of a version that logged other numbers
        own = torch.stack([value.detach().float() for value in values.values()])
        self.names = tuple(values)
        self.steps.append(step)
        self.frame_ids.append(frame_ids)
        self.values.append(sum_over_processes(own) / world_size())

    def check(self) -> None:
        """Raise UserError at the first value that is not finite; it names the step, its frames and its losses."""
        for step, frames, row in zip(self.steps, self.frame_ids, self._list_rows(), strict=True):
            if not row.get(SKIPPED) and not all(map(math.isfinite, row.values())):
                found = ", ".join(f"{name} = {value:.6g}" for name, value in row.items())
                everywhere = [frame for of_process in gather_to_first(frames) for frame in of_process] or frames
                raise UserError(
                    f"step {step}: {found}; in frames {', '.join(everywhere)}; look at these frames "
                    "(pcdet-poly check STORE), lower train.learning_rate, or set train.mixed_precision=false"
                )

    def compute_means(self) -> dict[str, float]:
        """Return the mean of each named number over the steps, at least one; of skipped steps the number alone."""
        rows = self._list_rows()
        done = [row for row in rows if not row.get(SKIPPED)]
        means = {name: sum(row[name] for row in done) / len(done) for name in self.names if done and name != SKIPPED}
        return means | ({SKIPPED: sum(row[SKIPPED] for row in rows)} if SKIPPED in self.names else {})

    def clear(self) -> None:
        """Forget all steps."""
        self.steps, self.frame_ids, self.values = [], [], []

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain types and tensors."""
        return {
            "names": list(self.names),
            "steps": list(self.steps),
            "frame_ids": [list(frames) for frames in self.frame_ids],
            "values": [value.cpu() for value in self.values],
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], device: torch.device) -> LossWindow:
        """Return what `state_dict` was made of, with the values on `device`."""
        return cls(
            names=tuple(state["names"]),
            steps=list(state["steps"]),
            frame_ids=[tuple(frames) for frames in state["frame_ids"]],
            values=[value.to(device) for value in state["values"]],
        )

    def _list_rows(self) -> list[dict[str, float]]:
        rows = torch.stack(self.values).tolist() if self.values else []
        return [dict(zip(self.names, row, strict=True)) for row in rows]
