"""Our sparse stages, neck and head with PillarNeXt's weights beside PillarNeXt's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.backbone import AsppConfig, SparseBackboneConfig
from pcdet_poly.config.sections.centerpoint import CenterHeadConfig
from pcdet_poly.experiments.reference.arrays import Arrays, select_arrays
from pcdet_poly.experiments.reference.output import Output, compare, compare_array
from pcdet_poly.models.import_checkpoint import convert
from pcdet_poly.models.layers.center_head import CenterHead
from pcdet_poly.models.layers.pillarnext.aspp_neck import AsppNeck
from pcdet_poly.models.layers.pillarnext.sparse_backbone import SparsePillarBackbone
from pcdet_poly.structures import Sites, SparseTensor

# Allowed errors, in units of the largest value. An output is a sum of up to 3,456 float32 products (9 cells of 384
# channels) after others like it: roundings of 6e-8 that add up like the square root of their number come to 4e-6.
# Gradients go through statistics of batches, too, which divide by small deviations.
OUTPUTS, TRAINED, NECK_GRADIENTS, GRADIENTS = 1e-5, 1e-5, 5e-5, 1e-4
STEP_MOMENTUM = 0.1  # of the neck's norms in one run; a training step of PillarNeXt has two
BRANCHES = {
    "hm": "heatmap",
    "reg": "offset",
    "height": "z",
    "dim": "size",
    "rot": "heading",
    "iou": "iou",
    "vel": "velocity",
}
GROUP_OF_CLASS = (0, 1, 1)


def compare_pillarnext_backbone(arrays: Arrays) -> Iterator[Output]:
    """SparseResNet: active cells and features after stages, the dense image, and one step of training."""
    state = select_arrays(arrays, "state.")
    widths = [len(state[f"blocks.{i}.0.conv.weight"]) for i in range(4)]
    out_channels = len(state["mapping.1.weight"])
    cfg = SparseBackboneConfig(channels=tuple(widths), out_channels=out_channels)
    backbone = SparsePillarBackbone(arrays["features"].shape[1], cfg)
    load_part(backbone, state, "backbone", "sparse")
    pillars = _read_pillars(arrays)
    tensor = pillars
    with torch.no_grad():
        backbone.eval()
        for i, stage in enumerate(backbone.stages):
            tensor = stage(tensor)
            yield from _compare_stage(arrays, f"eval.stage{i}", tensor)
        yield compare_array(arrays, "eval.output", backbone(pillars), relative=OUTPUTS)
    output = backbone.train()(pillars)
    yield compare_array(arrays, "train.output", output, relative=TRAINED)
    (output * torch.from_numpy(arrays["given"])).sum().backward()
    for outputs, prefix, allowed in (("after", "train.after.", TRAINED), ("grad", "train.grad.", GRADIENTS)):
        theirs = rename_state(select_arrays(arrays, prefix), backbone, "backbone", "sparse")
        yield from _compare_state(backbone, theirs, f"train.{outputs}", allowed)


def compare_pillarnext_neck(arrays: Arrays) -> Iterator[Output]:
    """ASPPNeck: its output, and a step of training, whose running statistics take the batch twice."""
    state = select_arrays(arrays, "state.")
    features, given = (torch.from_numpy(arrays[name]) for name in ("input", "given"))
    neck = AsppNeck(features.shape[1], AsppConfig().dilations)
    load_part(neck, state, "neck", "backbone")
    with torch.no_grad():
        yield compare_array(arrays, "eval.output", neck.eval()(features), relative=OUTPUTS)
    features.requires_grad_()
    output = neck.train()(features)
    yield compare_array(arrays, "train.output", output, relative=OUTPUTS)
    (output * given).sum().backward()
    yield compare_array(arrays, "train.grad_input", features.grad, relative=NECK_GRADIENTS)
    for name, allowed in (("checkpointed.after", OUTPUTS), ("grad", NECK_GRADIENTS)):
        theirs = rename_state(select_arrays(arrays, f"train.{name}."), neck, "neck", "backbone")
        yield from _compare_state(neck, theirs, f"train.{name}", allowed)
    load_part(neck, state, "neck", "backbone")
    for module in neck.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = STEP_MOMENTUM
    neck(features)
    theirs = rename_state(select_arrays(arrays, "train.forward_only.after."), neck, "neck", "backbone")
    yield from _compare_state(neck, theirs, "train.forward_only.after", OUTPUTS)


def compare_pillarnext_head(arrays: Arrays) -> Iterator[Output]:
    """CenterHead with two groups of classes: maps in evaluation and training, and running statistics."""
    features = torch.from_numpy(arrays["input"])
    width = len(arrays["state.shared_conv.0.bias"])
    cfg = CenterHeadConfig(head_width=width, head_up=2, iou_branch=True, velocity=True)
    head = CenterHead(features.shape[1], len(GROUP_OF_CLASS), cfg, GROUP_OF_CLASS)
    load_part(head, select_arrays(arrays, "state."), "head", "head")
    with torch.no_grad():
        for mode in ("eval", "train"):
            maps = head.train(mode == "train")(features)
            for group, part in enumerate(maps.split_groups()):
                for name, ours in BRANCHES.items():
                    if (key := f"{mode}.{group}.{name}") in arrays:
                        yield compare(key, getattr(part, ours), arrays[key], relative=OUTPUTS)
    theirs = rename_state(select_arrays(arrays, "train.after."), head, "head", "head")
    yield from _compare_state(head, theirs, "train.after", OUTPUTS)


def load_part(module: nn.Module, state: Arrays, theirs: str, ours: str) -> None:
    """Load PillarNeXt's weights of a part into ours, as importing a checkpoint does.

    Args:
        module: our part.
        state: their arrays, by names within their part.
        theirs: name of the part in their network.
        ours: name of the part in our network.
    """
    weights = rename_state(state, module, theirs, ours)
    missing, unexpected = module.load_state_dict(weights, strict=False)
    wanted = [name for name in missing if not name.endswith("num_batches_tracked")]
    if wanted or unexpected:
        raise KeyError(*wanted, *unexpected)


def rename_state(state: Arrays, module: nn.Module, theirs: str, ours: str) -> dict[str, Tensor]:
    """Rename and rearrange arrays of PillarNeXt's names as importing a checkpoint does.

    Args:
        state: their arrays, by names within their part.
        module: our part, which tells the shapes.
        theirs: name of the part in their network.
        ours: name of the part in our network.
    """
    named = {f"{theirs}.{name}": torch.from_numpy(value.copy()) for name, value in state.items()}
    converted = convert(named, {f"{ours}.{name}": value for name, value in module.state_dict().items()})
    return {name.removeprefix(f"{ours}."): value for name, value in converted.weights.items()}


def _read_pillars(arrays: Arrays) -> SparseTensor:
    """Pillars of two frames; `coordinates` are frame, y, x."""
    ny, nx = (int(number) for number in arrays["shape"])
    frame, y, x = torch.from_numpy(arrays["coordinates"].astype(np.int64)).T
    cell, order = ((frame * ny + y) * nx + x).sort()
    return SparseTensor(torch.from_numpy(arrays["features"])[order], Sites(cell, (1, ny, nx), int(frame.max()) + 1))


def _compare_stage(arrays: Arrays, name: str, tensor: SparseTensor) -> Iterator[Output]:
    sums = tensor.features.sum(dim=0)  # of numbers that are not negative
    yield compare_array(arrays, f"{name}.cells", np.array(len(tensor.sites)))
    yield compare_array(arrays, f"{name}.sum_per_channel", sums, relative=OUTPUTS)
    yield compare_array(arrays, f"{name}.indices", tensor.sites.coordinates()[:, [0, 2, 3]])
    if f"{name}.features" in arrays:
        yield compare_array(arrays, f"{name}.features", tensor.features, relative=OUTPUTS)


def _compare_state(module: nn.Module, theirs: Mapping[str, Tensor], name: str, allowed: float) -> Iterator[Output]:
    """Compare running statistics or gradients of `module` with theirs, which have our names.

    Args:
        module: after a step.
        theirs: statistics, or gradients.
        name: of the outputs, without the tensor's.
        allowed: error in units of each tensor's largest value.
    """
    buffers, parameters = dict(module.named_buffers()), dict(module.named_parameters())
    for key, value in theirs.items():
        ours = buffers[key] if key in buffers else parameters[key].grad
        yield compare(
            f"{name}.{key}",
            value.new_full(value.shape, torch.nan) if ours is None else ours,
            value.numpy(),
            relative=allowed,
        )
