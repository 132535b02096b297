"""What the settings of every detector have in common, those of a user's own detector included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pcdet_poly.config.sections.data import GridConfig
from pcdet_poly.config.sections.section import Section


class DetectorSection(Section):
    """Base of the settings of a detector: the section `model` of a config.

    A section of your own needs no field `kind`: it gets one with the name that the config calls it by.
    """

    if TYPE_CHECKING:
        kind: str

    def explain_misfit(self, grid: GridConfig, classes: Sequence[str]) -> str | None:
        """Say why this detector cannot work on `grid` with `classes`, or return None where it can."""
        return None
