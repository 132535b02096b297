"""LiDAR 3D detection on the Waymo Open Dataset, with PolyLoss heads. Importing this loads nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pcdet_poly.version import __version__

if TYPE_CHECKING:
    from pcdet_poly.engine.detector import Detector

__all__ = ["Detector", "__version__"]


def __getattr__(name: str) -> Any:
    """`pcdet_poly.Detector`, loaded when it is first asked for."""
    if name == "Detector":
        from pcdet_poly.engine.detector import Detector

        return Detector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
