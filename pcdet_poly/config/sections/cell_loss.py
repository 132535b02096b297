"""What the settings of every classification loss have in common, those of a user's own loss included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pcdet_poly.config.sections.section import NotNegative, Section


class LossSection(Section):
    """Base of the settings of a classification loss: the section `classification` of a config."""

    if TYPE_CHECKING:
        kind: str
        weight: float


class CellLossConfig(LossSection):
    """Settings that a head needs from every loss: derive your own loss's settings from it.

    A section of your own needs no field `kind`: it gets one with the name that the config calls it by.
    """

    weight: NotNegative = 1.0
    """Weight of this loss in the total."""
    normalizer: Literal["peaks", "objects"] = "objects"
    """Divide the sum over a heatmap by its number of cells with target 1, or by the number of objects."""
