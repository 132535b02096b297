"""Checkpoints of OpenPCDet and CenterPoint -> weights of ours, tensor by tensor."""

from pcdet_poly.models.import_checkpoint.convert_weights import Conversion, Line, convert, read_foreign_weights

__all__ = ["Conversion", "Line", "convert", "read_foreign_weights"]
