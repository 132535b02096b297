"""What detections and metrics are of: which detector, which settings, which data, which code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from pydantic import ValidationError

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.evaluation.tabulate import Limits

_IN_META = ("run", "step", "config_hash", "within")  # beside "provenance" in the meta of a metrics.json


@dataclass(frozen=True)
class DataRecord:
    """One frame store that was read."""

    folder: str  # as the config names it
    fingerprint: str  # differs where any frame of the store does


@dataclass(frozen=True)
class Provenance:
    """What is known of how detections came to be; None where nothing was recorded."""

    run: str | None = None  # name of the run's folder
    step: int | None = None  # steps after which the detector had its weights
    config_hash: str | None = None  # of all settings
    grid: Mapping[str, Any] | None = None  # lower, upper, cell in metres
    sweeps: int | None = None  # LiDAR sweeps that make up a frame
    metrics: Mapping[str, Any] | None = None  # settings of the metrics that the run asks for
    within: Limits | None = None  # evaluated area that the run asks for, x0 y0 x1 y1 in metres
    stores: tuple[DataRecord, ...] = ()
    data_hash: str | None = None  # of the stores and of which of their frames were taken
    version: str | None = None  # of this package
    commit: str | None = None  # of its code, with + where files differ from it

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are known, as plain types."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}

    def to_meta(self) -> dict[str, Any]:
        """Return what the `meta` of a metrics.json says under "provenance": what it does not say elsewhere."""
        return {name: value for name, value in self.to_json().items() if name not in _IN_META}

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Self:
        """Return the record of the `meta` of a metrics.json."""
        return cls.from_json({name: meta[name] for name in _IN_META if name in meta} | meta.get("provenance", {}))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the record of what `to_json` gave; other keys are left out."""
        known = {field.name: value[field.name] for field in fields(cls) if field.name in value}
        if "stores" in known:
            known["stores"] = tuple(DataRecord(**store) for store in known["stores"])
        if known.get("within") is not None:
            known["within"] = tuple(known["within"])
        return cls(**known)

    def read_metrics(self) -> MetricsConfig | None:
        """Return the settings of the metrics that the run asks for, None where they are not known to this version."""
        if self.metrics is None:
            return None
        try:
            return MetricsConfig.model_validate(self.metrics)
        except ValidationError:
            return None


UNKNOWN = Provenance()
