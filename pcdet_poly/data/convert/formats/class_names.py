"""Names of classes in files -> labels: which names stand for which class, and which boxes are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pcdet_poly.errors import UserError, suggest_word
from pcdet_poly.structures import WAYMO_CLASSES

DROPPED = -1  # label of a box to leave out


@dataclass(frozen=True)
class ClassNames:
    """How names in files become labels, positions in `classes`."""

    classes: tuple[str, ...] = WAYMO_CLASSES
    renamed: Mapping[str, str] = field(default_factory=dict)  # name in files -> name in `classes`
    dropped: frozenset[str] = frozenset()  # names in files whose boxes are left out

    def __post_init__(self) -> None:
        if len(set(self.classes)) < len(self.classes) or not self.classes:
            raise UserError(f"--classes {','.join(self.classes)}: each class needs a name of its own")
        for name, to in self.renamed.items():
            if to not in self.classes:
                nearest = suggest_word(to, self.classes)
                raise UserError(f"--map {name}={to}: no such class; the classes are {', '.join(self.classes)}{nearest}")
            if name in self.dropped:
                raise UserError(f"--map {name}={to}: --drop leaves {name} out; give one of the two")

    def with_defaults(self, renamed: Mapping[str, str], dropped: Iterable[str]) -> ClassNames:
        """Return these names with a format's own ones for what the user does not say.

        A default that leads to none of the classes is none.
        """
        own = {name: to for name, to in renamed.items() if to in self.classes and name not in self.dropped}
        others = {name for name in dropped if name not in self.renamed and name not in self.classes}
        return ClassNames(self.classes, {**own, **self.renamed}, self.dropped | others)

    def find_labels(self, names: Sequence[str], where: str) -> np.ndarray:
        """Return the labels (N,) int64 of boxes by their names, DROPPED for those to leave out.

        Raises:
            UserError: for a name that is neither a class nor mapped nor dropped; `where` stands in front.
        """
        return np.array([self._find_label(name, where) for name in names], np.int64)

    def describe(self) -> dict[str, str]:
        """Return the settings of a store that tell how it was made; none for what is as ever."""
        settings = {"classes": " ".join(f"{name}={to}" for name, to in sorted(self.renamed.items()))}
        if self.dropped:
            settings["dropped"] = " ".join(sorted(self.dropped))
        if self.classes != WAYMO_CLASSES:
            settings["class_names"] = " ".join(self.classes)
        return settings

    def _find_label(self, name: str, where: str) -> int:
        if name in self.dropped:
            return DROPPED
        known = self.renamed.get(name, name)
        if known in self.classes:
            return self.classes.index(known)
        raise UserError(
            f"{where}: class '{name}' is not known; the classes are {', '.join(self.classes)}: "
            f"translate it with --map '{name}={self.classes[0]}' (or the class it is), or leave it out with "
            f"--drop '{name}'"
        )
