"""What a user says about the files that are imported."""

from __future__ import annotations

from dataclasses import dataclass, field

from pcdet_poly.checks.timestamps import TimestampUnit
from pcdet_poly.data.convert.formats.class_names import ClassNames


@dataclass(frozen=True)
class ImportOptions:
    """How names and times in files are to be understood."""

    names: ClassNames = field(default_factory=ClassNames)
    timestamp_unit: TimestampUnit | None = None  # None: recognised by magnitude

    def describe(self) -> dict[str, str]:
        """Return the settings of a store that tell how it was made; none for what is as ever."""
        unit = {"timestamp_unit": self.timestamp_unit} if self.timestamp_unit else {}
        return {**self.names.describe(), **unit}
