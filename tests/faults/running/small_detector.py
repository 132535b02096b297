"""A whole detector in an ONNX file of a few nodes: a box of one metre at every point."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.runtime.checksum import add_checksum
from pcdet_poly.runtime.model_file import KEY, FileDescription


def write_small_detector(path: Path) -> None:
    """Write the file, which `export --onnx --whole` would take ten seconds for."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    place, size = np.eye(3, 7, dtype=np.float32), np.array([0, 0, 0, 1, 1, 1, 0], np.float32)
    nodes = [
        helper.make_node("Gemm", ["points", "place", "size"], ["box"]),
        helper.make_node("ReduceMean", ["points", "axis"], ["mean"], keepdims=0),
        helper.make_node("Sigmoid", ["mean"], ["score"]),
        helper.make_node("Identity", ["score"], ["ranked"]),
        helper.make_node("Cast", ["score"], ["label"], to=TensorProto.INT64),
    ]
    constants = {"place": place, "size": size, "axis": np.array([1], np.int64)}
    outputs = {"box": ["N", 7], "score": ["N"], "ranked": ["N"], "label": ["N"]}
    graph = helper.make_graph(
        nodes,
        "points to boxes",
        [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["N", 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.INT64 if name == "label" else TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    decode = DecodeConfig().model_dump(mode="json")
    about = FileDescription(("VEHICLE", "PEDESTRIAN"), ("x", "y", "z"), {}, decode, {"run": "none"})
    helper.set_model_props(model, {KEY: about.write_json()})
    onnx.save(model, path)
    add_checksum(path)
