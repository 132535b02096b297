"""The ONNX file of a whole detector: what its metadata says, and a session that runs it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcdet_poly.errors import UserError
from pcdet_poly.optional_libraries import import_onnxruntime
from pcdet_poly.runtime.checksum import read_with_checksum

KEY = "pcdet_poly"  # of the file's metadata, whose value is JSON
FORMAT = 1  # of that JSON; raised with any change that an older program would read wrongly


@dataclass(frozen=True)
class FileDescription:
    """What the file says of itself. Unknown fields of later versions are kept in `made_by` alone."""

    classes: tuple[str, ...]
    columns: tuple[str, ...]  # of the points that go in, in order
    grid: dict[str, Any]  # lower, upper, cell in metres
    decode: dict[str, Any]  # the run's section `decode`: which boxes become detections
    made_by: dict[str, Any]  # the run, its settings' hash, the version that exported it

    def write_json(self) -> str:
        """Write the description as the file's metadata has it."""
        return json.dumps({"format": FORMAT, **self.__dict__})


def parse_description(text: str, place: str) -> FileDescription:
    """Parse the metadata of a file.

    Raises:
        UserError: where it is of a later format, or lacks something.
    """
    try:
        values = json.loads(text)
        if values["format"] > FORMAT:
            raise UserError(f"{place}: format {values['format']}, written by a later version; update pcdet_poly")
        return FileDescription(
            tuple(values["classes"]), tuple(values["columns"]), values["grid"], values["decode"], values["made_by"]
        )
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{place}: its description is damaged ({error!r}); export the run again") from error


def open_session(path: Path, num_threads: int | None) -> tuple[Any, FileDescription]:
    """Open a file with onnxruntime, on the CPU.

    Args:
        path: of the file.
        num_threads: that one frame may use; None for as many as the processor has cores.

    Returns:
        The session, and what the file says of itself.

    Raises:
        UserError: where the file is missing, damaged, no ONNX file, or not of a whole detector.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; `pcdet-poly export RUN --onnx --whole` writes one")
    data, has_checksum = read_with_checksum(path)
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map.get(KEY)
    except Exception as error:  # onnxruntime's own errors have no common class
        raise UserError(f"{path}: not an ONNX file that onnxruntime can run ({str(error).splitlines()[0]})") from error
    if text is None:
        raise UserError(f"{path}: no whole detector; export it with `pcdet-poly export RUN --onnx --whole`")
    if not has_checksum:
        raise UserError(f"{path}: damaged or cut, its checksum is missing; export the run again")
    return session, parse_description(text, str(path))
