"""State dicts of other projects -> our state dict, with a line about every tensor."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pcdet_poly.errors import UserError
from pcdet_poly.models.import_checkpoint.name_rules import LEFT_OUT, PROJECTS, Rule

_UNREADABLE = (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError)
_KEYS = ("model_state", "state_dict", "model")  # where projects keep the weights


@dataclass(frozen=True)
class Line:
    """What became of one tensor: `source` is empty where only we have it, `target` where only they have it."""

    source: str
    target: str
    shape: tuple[int, ...]
    note: str

    @property
    def used(self) -> bool:
        """Whether its numbers were taken."""
        return bool(self.source and self.target)


@dataclass(frozen=True)
class Conversion:
    """Our weights, as far as the file gives them, and the report."""

    project: str
    weights: Mapping[str, Tensor]
    lines: tuple[Line, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Our tensors that the file does not give."""
        return tuple(line.target for line in self.lines if not line.source)


def read_foreign_weights(path: Path) -> dict[str, Tensor]:
    """Read the weights in a .pth file, by name, without running code from it. Raises UserError where that fails."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a .pth checkpoint of OpenPCDet or CenterPoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: cannot be read without running code from it ({reason}); save its state dict alone with "
            "torch.save(model.state_dict(), FILE)"
        ) from None
    for key in _KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{path}: no weights in it (looked for {', '.join(_KEYS)}); name a checkpoint of a detector")
    return {str(name).removeprefix("module."): value for name, value in content.items() if isinstance(value, Tensor)}


def convert(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> Conversion:
    """Convert their tensors to our names and our order of channels, and check them against the shapes of `ours`.

    The project is the one whose names fit more tensors. Raises UserError for a tensor whose shape is not ours.
    """
    project, rules = max(
        PROJECTS.items(), key=lambda item: sum(_find_rule(name, item[1]) is not None for name in theirs)
    )
    weights: dict[str, Tensor] = {}
    lines = [_convert_tensor(name, tensor, rules, ours, weights) for name, tensor in theirs.items()]
    for name, tensor in ours.items():
        if name not in weights and not name.endswith("num_batches_tracked"):
            lines.append(Line("", name, tuple(tensor.shape), "not in the file"))
    return Conversion(project, weights, tuple(lines))


def _convert_tensor(
    name: str, tensor: Tensor, rules: tuple[Rule, ...], ours: Mapping[str, Tensor], weights: dict[str, Tensor]
) -> Line:
    shape = tuple(tensor.shape)
    if LEFT_OUT.fullmatch(name):
        return Line(name, "", shape, "not a weight")
    found = _find_rule(name, rules)
    if found is None:
        return Line(name, "", shape, "no counterpart")
    rule, target = found
    if target not in ours:
        return Line(name, "", shape, f"this config has no {target}")
    wanted = tuple(ours[target].shape)
    changed = tensor if rule.rearrange is None else rule.rearrange(tensor)
    if tuple(changed.shape) != wanted:
        raise UserError(
            f"{name} is {shape}, {target} of this config is {wanted}; use the config of the same model and classes"
        )
    weights[target] = changed.to(ours[target].dtype).contiguous()
    return Line(name, target, shape, rule.note or "copied")


def _find_rule(name: str, rules: tuple[Rule, ...]) -> tuple[Rule, str] | None:
    for rule in rules:
        if match := re.fullmatch(rule.pattern, name):
            return rule, rule.name(match)
    return None
