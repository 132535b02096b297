"""Files of a dense part, opened by onnxruntime or OpenVINO."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pcdet_poly.models.export.dense_part import Compute
from pcdet_poly.optional_libraries import import_onnxruntime, import_openvino
from pcdet_poly.runtime.checksum import read_own_file


def open_in_onnxruntime(path: Path, threads: int) -> Compute:
    """Open an ONNX file of ours on the CPU with so many threads. Raises UserError where it is damaged."""
    onnxruntime, data = import_onnxruntime(), read_own_file(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def compute(image: np.ndarray) -> list[np.ndarray]:
        maps: list[np.ndarray] = session.run(None, {"image": image})
        return maps

    return compute


def open_in_openvino(path: Path, threads: int) -> Compute:
    """Open an ONNX file of ours on the CPU with so many threads, in float32 also where the processor has bfloat16.

    Raises UserError where it is damaged.
    """
    read_own_file(path)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    model = import_openvino().Core().compile_model(str(path), "CPU", settings)

    def compute(image: np.ndarray) -> list[np.ndarray]:
        found = model([image])
        return [np.array(found[output]) for output in model.outputs]

    return compute
