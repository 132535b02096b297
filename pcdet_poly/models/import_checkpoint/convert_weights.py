"""State dicts of other projects -> our state dict, with a line about every tensor."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from pcdet_poly.errors import UserError
from pcdet_poly.models.import_checkpoint.name_rules import LEFT_OUT, PROJECTS, Rule
from pcdet_poly.models.import_checkpoint.refused import refuse_foreign_networks

NOT_A_WEIGHT = "not a weight"


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
    def unused(self) -> tuple[str, ...]:
        """Their weights that we have no place for."""
        return tuple(line.source for line in self.lines if not line.target and line.note != NOT_A_WEIGHT)

    @property
    def missing(self) -> tuple[str, ...]:
        """Our tensors that the file does not give."""
        return tuple(line.target for line in self.lines if not line.source)


def find_project(names: Collection[str]) -> str:
    """Return the project whose names fit most tensors. Raises UserError for a network that is not accepted."""
    refuse_foreign_networks(names)
    return max(PROJECTS, key=lambda project: sum(_find_rule(name, PROJECTS[project]) is not None for name in names))


def convert(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> Conversion:
    """Convert their tensors to our names and our order of channels, and check them against the shapes of `ours`.

    Raises UserError for a network that is not accepted, and for a tensor whose shape is not ours.
    """
    project = find_project(theirs)
    rules = PROJECTS[project]
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
        return Line(name, "", shape, NOT_A_WEIGHT)
    found = _find_rule(name, rules)
    if found is None:
        return Line(name, "", shape, "no counterpart")
    rule, target = found
    if target not in ours:
        return Line(name, "", shape, f"this config has no {target}")
    wanted = tuple(ours[target].shape)
    if rule.only_misfits and shape == wanted:
        rule = replace(rule, rearrange=None, note="")
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
