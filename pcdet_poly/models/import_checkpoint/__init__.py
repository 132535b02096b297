"""Checkpoints of OpenPCDet, CenterPoint and PillarNeXt -> weights of ours, tensor by tensor."""

from pcdet_poly.models.import_checkpoint.convert_weights import Conversion, Line, convert, find_project
from pcdet_poly.models.import_checkpoint.foreign_file import read_foreign_weights
from pcdet_poly.models.import_checkpoint.peer_settings import Decision, UntoldEncoderError, decide_settings

__all__ = [
    "Conversion",
    "Decision",
    "Line",
    "UntoldEncoderError",
    "convert",
    "decide_settings",
    "find_project",
    "read_foreign_weights",
]
