"""The way of `epsilon` from a YAML file to the formula of the loss: `python -m benchmarks.epsilon_path`.

A number that nothing else equals is written into a config file as epsilon, the recipe is built, and its losses
are computed once under a profiler. The way is the section of the config that declares the setting, and every
function of the package from the criterion's call down to the sum of powers of 1 - P_t that has the number:
those on the stack when the sum begins, and those that took it or returned it before.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import yaml

from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.losses.series import sum_series
from pcdet_poly.models.recipe import build_recipe
from pcdet_poly.structures import AnchorMaps, AnchorTargets, CenterMaps, CenterTargets, RsnMaps, RsnTargets, Sites

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pcdet_poly"
MARKED = -0.32173  # no other setting and no constant of the code has this value
HEADS = {  # head -> the config to start from, the section whose epsilon is marked
    "center": ("slim.yaml", "classification"),
    "anchor": ("simulated_pointpillars.yaml", "classification"),
    "rsn": ("simulated_rsn_vehicle.yaml", "model.segmentation"),
}


@dataclass(frozen=True)
class Hop:
    """A section of a config or a function that has the number."""

    file: str  # relative to the package
    name: str  # of the class or function
    variables: tuple[str, ...] = ()  # of a function: the variables that are the number or hold it


@dataclass
class _Recorder:
    """A profiler that follows the number until the sum of powers begins."""

    calls: list[FrameType] = field(default_factory=list)  # in the order in which they began
    carriers: set[int] = field(default_factory=set)  # ids of those that took the number or returned it
    hops: list[Hop] = field(default_factory=list)

    def __call__(self, frame: FrameType, event: str, value: Any) -> None:
        code = frame.f_code
        if self.hops or event not in ("call", "return") or not code.co_filename.startswith(f"{PACKAGE}/"):
            return
        if code.co_name.startswith("<"):  # a comprehension: a part of its function
            return
        if event == "call":
            self.calls.append(frame)
        if _holds_number(list(frame.f_locals.values()) if event == "call" else value):
            self.carriers.add(id(frame))
            if code is sum_series.__code__:
                self._finish(frame)

    def _finish(self, innermost: FrameType) -> None:
        stack = {id(frame) for frame in _list_callers(innermost)}
        start = next(i for i, frame in enumerate(self.calls) if _is_criterion(frame) and id(frame) in stack)
        passed = [frame for frame in self.calls[start:] if id(frame) in stack | self.carriers]
        self.hops = [_describe(frame) for frame in passed]


def trace_epsilon(head: str) -> list[Hop]:
    """The way of epsilon for one of HEADS, from the section of the config to the sum of powers."""
    base, section = HEADS[head]
    cfg = _load_marked(base, section)
    maps, targets = _CASES[head](cfg)
    criterion = build_recipe(cfg).criterion
    recorder = _Recorder()
    sys.setprofile(recorder)
    try:
        criterion(maps, targets)
    finally:
        sys.setprofile(None)
    return [_find_section(cfg, section), *recorder.hops]


def _load_marked(base: str, section: str) -> Config:
    """The config of a YAML file that names `base` and the marked epsilon."""
    values: dict[str, Any] = {"epsilon": MARKED}
    for name in reversed(section.split(".")):
        values = {name: values}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "marked.yaml"
        file.write_text(yaml.safe_dump({"base": str(ROOT / "configs" / base), **values}))
        return load_config(file)


def _find_section(cfg: Config, section: str) -> Hop:
    """The class that declares the setting `epsilon` of a section."""
    record: Any = cfg
    for name in section.split("."):
        record = getattr(record, name)
    assert record.epsilon == MARKED
    owner = next(each for each in type(record).__mro__ if "epsilon" in inspect.get_annotations(each))
    return Hop(str(Path(inspect.getfile(owner)).relative_to(PACKAGE)), owner.__name__)


def _holds_number(value: Any) -> bool:
    """Whether `value` is the number, or a tuple or list with it."""
    if isinstance(value, (tuple, list)):
        return any(map(_holds_number, value))
    return isinstance(value, float) and value == MARKED


def _list_callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_criterion(frame: FrameType) -> bool:
    return frame.f_code.co_qualname.endswith("Criterion.__call__")


def _describe(frame: FrameType) -> Hop:
    """The file and function of a frame, and its variables that are the number, hold it, or have it as `.epsilon`."""
    variables = [
        name
        for name, value in frame.f_locals.items()
        if _holds_number(value) or _holds_number(getattr(value, "epsilon", None))
    ]
    file = Path(frame.f_code.co_filename).relative_to(PACKAGE)
    return Hop(str(file), frame.f_code.co_qualname, tuple(variables))


def _center_case(cfg: Config) -> tuple[CenterMaps, CenterTargets]:
    """Maps of 4 x 4 cells, and one object."""
    maps = CenterMaps(*(torch.zeros(1, channels, 4, 4) for channels in (len(cfg.data.classes), 2, 1, 3, 2)))
    heatmap, place = torch.zeros_like(maps.heatmap), torch.zeros(1, dtype=torch.int64)
    heatmap[0, 0, 0, 0] = 1
    return maps, CenterTargets(heatmap, place, place, place, torch.zeros(1, 8))


def _anchor_case(cfg: Config) -> tuple[AnchorMaps, AnchorTargets]:
    """Six anchors, of which one is a positive."""
    maps = AnchorMaps(torch.zeros(1, 6, len(cfg.data.classes)), torch.zeros(1, 6, 7), torch.zeros(1, 6, 2))
    place = torch.zeros(1, dtype=torch.int64)
    background = torch.ones(1, 6, dtype=torch.bool)
    return maps, AnchorTargets(background, place, place, place, torch.zeros(1, 7), place)


def _rsn_case(cfg: Config) -> tuple[RsnMaps, RsnTargets]:
    """Four points and four voxels, and one box around all of them."""
    assert isinstance(cfg.model, RsnConfig)
    xyz, logit, heading = torch.zeros(4, 3), torch.zeros(4), torch.zeros(4, 2 * cfg.model.heading_bins)
    maps = RsnMaps(logit, Sites(torch.arange(4), (1, 2, 2), 1), xyz, logit, xyz, xyz, heading)
    inside = torch.ones(4, dtype=torch.bool)
    return maps, RsnTargets(inside, inside, torch.zeros(1, dtype=torch.int64), torch.tensor([[0.0, 0, 0, 4, 4, 4, 0]]))


_CASES: dict[str, Callable[[Config], tuple[Any, Any]]] = {
    "center": _center_case,
    "anchor": _anchor_case,
    "rsn": _rsn_case,
}


def main() -> None:
    """Print the way of each head."""
    for head in HEADS:
        hops = trace_epsilon(head)
        print(f"{head}: {len(hops)} frames")
        for hop in hops:
            print(f"  {hop.file}: {hop.name}  {', '.join(hop.variables)}")


if __name__ == "__main__":
    main()
