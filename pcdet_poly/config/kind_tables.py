"""Every kind of detector, classification loss and reader: ours, and those that a user's packages add."""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field, create_model

from pcdet_poly.config.kinds import DetectorKind, LossKind, ReaderKind
from pcdet_poly.config.plugins import find_object, is_admitted, list_entry_points, list_loaded_modules
from pcdet_poly.config.sections.cell_loss import LossSection
from pcdet_poly.config.sections.centerpoint import CenterPointPillarConfig, CenterPointVoxelConfig
from pcdet_poly.config.sections.detector import DetectorSection
from pcdet_poly.config.sections.losses import HeatmapFocalConfig, SigmoidFocalConfig
from pcdet_poly.config.sections.pointpillars import PointPillarsConfig
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.config.sections.section import Section
from pcdet_poly.errors import UserError, suggest_word

Kind = TypeVar("Kind", DetectorKind, LossKind, ReaderKind)


@dataclass(frozen=True)
class KindTable(Generic[Kind]):
    """The kinds of one sort, by name."""

    noun: str
    kind_type: type[Kind]
    section: type[Section] | None  # base of the settings of each, where it has some
    group: str  # of entry points by which installed packages add kinds
    ours: Mapping[str, Kind]

    def find(self, name: str) -> Kind:
        """Return the kind `name`: one of ours, an entry point, or "module:object" of a module that was admitted.

        Raises:
            UserError: with what to do, but without the setting or option that gave the name: the caller knows it.
        """
        if ":" in name:
            module = name.partition(":")[0]
            if not is_admitted(module):
                raise UserError(
                    f"not one of ours, and a config alone makes no code run: add --plugin {module} to the command "
                    "if you trust that module"
                )
            return self._check(find_object(name), name)
        entries: list[EntryPoint] = list_entry_points(self.group, name)
        if len(entries) + (name in self.ours) > 1:
            owners = [*(["pcdet_poly"] if name in self.ours else []), *map(_name_package, entries)]
            raise UserError(f"{' and '.join(owners)} each have a {self.noun} of this name; uninstall all but one")
        if name in self.ours:
            return self.ours[name]
        if not entries:
            names = [*self.ours, *(entry.name for entry in list_entry_points(self.group))]
            there_are = f"; there are {', '.join(map(repr, names))}, and your own as module:Name with --plugin module"
            raise UserError(f"no such {self.noun}{suggest_word(name, names) or there_are}")
        return self._check(find_object(entries[0].value), entries[0].value)

    def list_available(self) -> dict[str, Kind]:
        """Return ours, those in modules that were admitted, and those that installed packages register; whole ones."""
        names = list(self.ours)
        for module in list_loaded_modules():
            names += [f"{module.__name__}:{name}" for name, value in vars(module).items() if self._is_kind(value)]
        names += [entry.name for entry in list_entry_points(self.group)]
        found: dict[str, Kind] = {}
        for name in names:
            with suppress(UserError):
                found[name] = self.find(name)
        return found

    def _is_kind(self, value: Any) -> bool:
        return isinstance(value, self.kind_type)

    def _check(self, found: Any, name: str) -> Kind:
        """Return `found`, which is called `name`, if it is a whole kind of this sort."""
        type_name = self.kind_type.__name__
        if not self._is_kind(found):
            what = "a class" if isinstance(found, type) else f"a {type(found).__name__}"
            raise UserError(f"{name} is {what}, where a pcdet_poly.config.kinds.{type_name}(...) is needed")
        settings = getattr(found, "settings", None)
        if self.section and not (isinstance(settings, type) and issubclass(settings, self.section)):
            shown = settings.__name__ if isinstance(settings, type) else repr(settings)
            base = f"{self.section.__module__}.{self.section.__name__}"
            raise UserError(f"its settings, {shown}, are no subclass of {base}")
        if isinstance(found, LossKind) and "weight" not in found.settings.model_fields:
            shown = found.settings.__name__
            raise UserError(f"its settings, {shown}, have no field weight; derive them from CellLossConfig")
        return found


@cache
def name_settings(settings: type[Section], name: str) -> type[Section]:
    """Return `settings` with a field `kind` that is always `name`; ours have it already."""
    field = settings.model_fields.get("kind")
    if field is not None and field.default == name:
        return settings
    kind: Any = (Literal[name], Field(default=name, description=f"Name of the {_tell_noun(settings)}."))
    named: type[Section] = create_model(
        settings.__name__, __base__=settings, __doc__=settings.__doc__, __module__=settings.__module__, kind=kind
    )

    def reduce(section: Any) -> tuple[Any, ...]:
        return _restore_section, (settings, name, section.__dict__)

    copyreg.pickle(named, reduce)  # pickle finds classes by their names in modules, where this one is not
    return named


def _restore_section(settings: type[Section], name: str, values: dict[str, Any]) -> Section:
    return name_settings(settings, name).model_construct(**values)


def _tell_noun(settings: type[Section]) -> str:
    return "loss" if issubclass(settings, LossSection) else "detector"


def _name_package(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name}" if entry.dist else entry.value


DETECTORS = KindTable(
    "detector",
    DetectorKind,
    DetectorSection,
    "pcdet_poly.detectors",
    {
        "centerpoint_pillar": DetectorKind(
            CenterPointPillarConfig, "pcdet_poly.models.center_recipe:build_center_pillar"
        ),
        "centerpoint_voxel": DetectorKind(CenterPointVoxelConfig, "pcdet_poly.models.center_recipe:build_center_voxel"),
        "pointpillars": DetectorKind(
            PointPillarsConfig,
            "pcdet_poly.models.anchor_recipe:build_pointpillars",
            loss="sigmoid",
            unused_sections=("regression", "targets"),
        ),
        "rsn": DetectorKind(
            RsnConfig, "pcdet_poly.models.rsn_recipe:build_rsn", unused_sections=("regression", "targets")
        ),
    },
)
LOSSES = KindTable(
    "loss",
    LossKind,
    LossSection,
    "pcdet_poly.losses",
    {
        "heatmap": LossKind(HeatmapFocalConfig, "pcdet_poly.losses.classification:heatmap_loss", "heatmap"),
        "sigmoid": LossKind(SigmoidFocalConfig, "pcdet_poly.losses.classification:sigmoid_loss", "sigmoid"),
    },
)
READERS = KindTable(
    "reader",
    ReaderKind,
    None,
    "pcdet_poly.readers",
    {
        "npz": ReaderKind(
            "pcdet_poly.data.convert.from_npz:read_npz_folder", "pcdet_poly.data.convert.from_npz:list_npz_sources"
        ),
        "waymo": ReaderKind(
            "pcdet_poly.data.convert.from_waymo:read_waymo", "pcdet_poly.data.convert.from_waymo:list_waymo_sources"
        ),
    },
)
