"""The losses since the last log line: their means, and the guard against NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pcdet_poly.errors import UserError


@dataclass
class Window:
    """Named numbers of each step since the last log line. They stay on their device until someone asks."""

    names: tuple[str, ...] = ()
    steps: list[int] = field(default_factory=list)
    frame_ids: list[tuple[str, ...]] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)  # each (len(names),) float32

    def add(self, step: int, frame_ids: tuple[str, ...], values: Mapping[str, Tensor]) -> None:
        """Append what step number `step` gave; does not wait for the device."""
        self.names = tuple(values)
        self.steps.append(step)
        self.frame_ids.append(frame_ids)
        self.values.append(torch.stack([value.detach().float() for value in values.values()]))

    def check(self) -> None:
        """Raise UserError, which names the step, its frames and its losses, at the first value that is not finite."""
        for step, frames, row in zip(self.steps, self.frame_ids, self._rows(), strict=True):
            if not all(map(math.isfinite, row)):
                found = ", ".join(f"{name} = {value:.6g}" for name, value in zip(self.names, row, strict=True))
                raise UserError(
                    f"step {step}: {found}; in frames {', '.join(frames)}; look at these frames "
                    "(data_tools/check_frames.py), lower train.learning_rate, or set train.mixed_precision=false"
                )

    def means(self) -> dict[str, float]:
        """Mean of each named number over the steps, at least one."""
        columns = zip(*self._rows(), strict=True)
        return {name: sum(column) / len(self.steps) for name, column in zip(self.names, columns, strict=True)}

    def clear(self) -> None:
        """Forget all steps."""
        self.steps, self.frame_ids, self.values = [], [], []

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain types and tensors."""
        return {
            "names": list(self.names),
            "steps": list(self.steps),
            "frame_ids": [list(frames) for frames in self.frame_ids],
            "values": [value.cpu() for value in self.values],
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], device: torch.device) -> Window:
        """The inverse of `state_dict`, with the values on `device`."""
        return cls(
            names=tuple(state["names"]),
            steps=list(state["steps"]),
            frame_ids=[tuple(frames) for frames in state["frame_ids"]],
            values=[value.to(device) for value in state["values"]],
        )

    def _rows(self) -> list[list[float]]:
        rows: list[list[float]] = torch.stack(self.values).tolist() if self.values else []
        return rows
