"""Detectors in ONNX files, by numpy and onnxruntime alone: no torch, and nothing else of this package's libraries."""

from pcdet_poly.runtime.detector import Detector
from pcdet_poly.runtime.suppress import FoundBoxes

__all__ = ["Detector", "FoundBoxes"]
