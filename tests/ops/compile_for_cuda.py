"""Compile every Triton kernel for GPUs that need not be there, and print what each became, as JSON lines.

Runs the functions of ops/gpu on CPU tensors with the launch replaced by a compilation, so that every
kernel is compiled with the very arguments it is launched with. Run without TRITON_INTERPRET.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

TYPES = {
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.int32: "*i32",
    torch.int64: "*i64",
    torch.uint8: "*u8",
    torch.bool: "*i1",
}
OPTIONS = {"num_warps", "num_stages", "enable_fp_fusion"}


def compile_instead(kernel: JITFunction, *arguments: Any, grid: Any, warmup: bool, **named: Any) -> None:
    """What JITFunction.run is replaced by."""
    options = {name: named.pop(name) for name in OPTIONS & named.keys()}
    values = dict(zip(kernel.arg_names, arguments, strict=False)) | named
    fixed = {p.name for p in kernel.params if p.is_constexpr}
    fixed |= {name for name, value in values.items() if type(value) is int and value == 1}  # as the launcher does
    signature = {name: "constexpr" if name in fixed else type_of(values[name]) for name in kernel.arg_names}
    constants = {(kernel.arg_names.index(name),): values[name] for name in fixed}
    for capability in (80, 90):
        source = ASTSource(kernel, signature, constants)
        compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
        report = {"kernel": kernel.__name__, "capability": capability, "cubin": len(compiled.asm["cubin"])}
        report["fused"] = "fma.rn" in compiled.asm["ptx"]
        print(json.dumps(report), flush=True)


def type_of(value: Any) -> str:
    if isinstance(value, Tensor):
        return TYPES[value.dtype]
    return "fp32" if isinstance(value, float) else "i32" if abs(value) < 2**31 else "i64"


def main() -> None:
    """Run everything in ops/gpu once."""
    from pcdet_poly.ops.gpu import heatmap, iou, nms, points_in_boxes, scatter, voxelize

    points, frame, box = torch.rand(300, 5), torch.zeros(300, dtype=torch.int64), torch.rand(70, 7)
    for shape in ([8, 8, 1], [1504, 1504, 40]):
        voxelize.voxelize_padded(points, frame, [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [9, *shape[1:-1], 9], 2)
        voxelize.voxelize_padded(points, frame, [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], shape, 1)
    scatter.segment_mean(points[:, :1].contiguous(), frame, 1)
    scatter.segment_mean(points, frame, 4)
    scatter.segment_mean(points, frame, 4, 5)
    scatter.segment_sum(points, frame, 4)
    scatter.share_among_highest(points[:4], points, scatter.segment_max(points, frame, 4), frame)
    iou.matched_iou(box, box, True)
    for with_height in (False, True):
        iou.pairwise_iou(box, box, with_height)
    nms.suppress_overlapping(box, frame[:70], box[:, 0].contiguous())
    nms.suppress_near(box[:, :2].contiguous(), frame[:70], box[:, 0].contiguous())
    points_in_boxes.first_box(points, box)
    points_in_boxes.count_points(points, box)
    heatmap.draw_heatmap(frame, frame, frame, frame, frame, [1, 1, 9, 9])


if __name__ == "__main__":
    JITFunction.run = compile_instead  # type: ignore[method-assign]
    sys.exit(main())
