"""Pillar detectors -> ONNX files that run without this package."""

from pcdet_poly.models.export.network import OUTPUT_OPSET, ExportedNetwork, export_onnx

__all__ = ["OUTPUT_OPSET", "ExportedNetwork", "export_onnx"]
