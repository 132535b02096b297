"""Which library runs a network for inference, and `auto`: the fastest on this processor, measured on this network."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn

from pcdet_poly.config.sections.train import MixedPrecision
from pcdet_poly.engine.choose_precision import measure_in_turns
from pcdet_poly.engine.environment import find_package_version, name_processor
from pcdet_poly.engine.precision import autocast, check_precision
from pcdet_poly.errors import UserError
from pcdet_poly.files import write_json
from pcdet_poly.models.export.dense_part import (
    Compute,
    export_dense_part,
    has_dense_part,
    make_image,
    replace_dense_part,
)
from pcdet_poly.models.export.libraries import check_onnx_installed
from pcdet_poly.models.export.sessions import open_in_onnxruntime, open_in_openvino
from pcdet_poly.models.layers.candidate_head import CandidateMaps
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.optional_libraries import import_openvino
from pcdet_poly.runtime.checksum import read_own_file
from pcdet_poly.version import __version__

Runtime = Literal["torch", "onnxruntime", "openvino", "int8", "auto"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
CPU = torch.device("cpu")
MEASURED_CELLS = 500  # what `decode.top_k` is by default
INT8_NAME = "network_int8.onnx"  # in a run's folder, see `pcdet-poly export --int8`
OPENERS: dict[str, Callable[[Path, int], Compute]] = {"onnxruntime": open_in_onnxruntime, "openvino": open_in_openvino}


@dataclass(frozen=True)
class Network:
    """A network ready for inference."""

    model: nn.Module  # Batch -> maps
    mixed_precision: MixedPrecision  # that it runs in


def open_network(
    model: nn.Module,
    runtime: Runtime,
    *,
    checkpoint: Path,
    mixed_precision: MixedPrecision,
    device: torch.device,
    fused: nn.Module,
) -> Network:
    """Make a trained network ready for inference.

    Args:
        model: the detector's network; it stays as it is.
        runtime: what runs its dense part, from bird's-eye image to maps. `torch` runs all of it; `int8` is the file
            that `pcdet-poly export --int8` left in the run's folder; `auto` is the fastest of torch in float32, torch
            in bfloat16, onnxruntime and OpenVINO, as far as they are here.
        checkpoint: where the weights come from; files of other libraries and the choice are kept beside it.
        mixed_precision: arithmetic of torch's.
        device: where the network runs; libraries other than torch need the CPU.
        fused: the network as torch runs it for inference.

    Raises:
        UserError: the runtime is not installed, or cannot run this network here.
    """
    if runtime == "torch" or (runtime == "auto" and (device.type != "cpu" or not has_dense_part(model))):
        return Network(fused, mixed_precision)
    if device.type != "cpu" or not has_dense_part(model):
        reason = "needs --device cpu" if device.type != "cpu" else f"cannot run {type(model).__name__}"
        raise UserError(f"--runtime {runtime}: {reason}; use torch or auto")
    if runtime == "auto":
        return _open_fastest(model, fused, checkpoint)
    if runtime == "int8":
        path = checkpoint.parents[1] / INT8_NAME
        if not path.is_file():
            raise UserError(f"{path}: no such file; write it by `pcdet-poly export RUN --int8 --calibrate STORE`")
        return _open_file(model, "onnxruntime", path)
    return _open_kind(model, fused, runtime, checkpoint)


def _open_kind(model: nn.Module, fused: nn.Module, kind: str, checkpoint: Path) -> Network:
    """Open one of `auto`'s choices."""
    if kind in ("float32", "bf16"):
        return Network(fused, "bf16" if kind == "bf16" else False)
    return _open_file(model, kind, _prepare_file(model, checkpoint))


def _open_file(model: nn.Module, library: str, path: Path) -> Network:
    assert has_dense_part(model)
    return Network(replace_dense_part(model, OPENERS[library](path, torch.get_num_threads())), False)


def _open_fastest(model: nn.Module, fused: nn.Module, checkpoint: Path) -> Network:
    """Open the network as it is fastest here, and say so.

    It is measured once for each checkpoint, processor, number of threads and set of libraries with their versions.
    """
    kinds = [kind for kind in ("float32", "bf16", "onnxruntime", "openvino") if _is_here(kind)]
    about = _describe_choice(kinds)
    path = _name_beside(model, checkpoint, ".json")
    known = _read_choices(path)
    if (kept := known.get(about)) in kinds:
        return _open_kind(model, fused, str(kept), checkpoint)
    networks = {kind: _open_kind(model, fused, kind, checkpoint) for kind in kinds}
    best, seconds = choose_fastest({kind: _build_pass(network) for kind, network in networks.items()})
    times = ", ".join(f"{kind} {1e3 * seconds[kind]:.0f} ms" for kind in kinds)
    print_line(f"--runtime auto: {best} (from points to maps: {times})", file=sys.stderr)
    if os.access(path.parent, os.W_OK):
        write_json(path, known | {about: best})
    return networks[best]


def _describe_choice(kinds: list[str]) -> str:
    """Say what a choice among `kinds` depends on, beside the network."""
    versions = [f"pcdet_poly {__version__}", f"torch {torch.__version__}"]
    versions += [f"{kind} {find_package_version(kind)}" for kind in kinds if kind in OPENERS]
    return f"{name_processor()}, {torch.get_num_threads()} threads, {', '.join(versions)}: {', '.join(kinds)}"


def choose_fastest(
    passes: dict[str, Callable[[], None]], *, clock: Callable[[], float] = time.perf_counter
) -> tuple[str, dict[str, float]]:
    """Return the name of the fastest, and the least seconds that each took; they take turns for about a second.

    Args:
        passes: what to measure, by name.
        clock: seconds.
    """
    seconds = measure_in_turns(passes, warm_up=1, min_steps=1, clock=clock)
    return min(seconds, key=seconds.__getitem__), seconds


def _build_pass(network: Network) -> Callable[[], None]:
    """Build a pass of the dense part, and of sparse layers where there are some, over a frame of 20,000 points."""
    model = network.model
    assert has_dense_part(model)
    lower, upper = torch.tensor(model.grid.lower), torch.tensor(model.grid.upper)
    points = torch.rand(20_000, model.point_channels, generator=torch.Generator().manual_seed(0))
    points[:, :3] = lower + points[:, :3] * (upper - lower)

    def infer() -> None:
        with torch.inference_mode(), autocast(CPU, network.mixed_precision):
            _read_boxes(model.head(model.backbone(make_image(model, points))))

    return infer


def _read_boxes(maps: Any) -> None:
    """Compute the boxes of as many cells as may become some, where maps have not computed all of them."""
    for group in maps.groups if isinstance(maps, CandidateMaps) else ():
        num_frames, _, height, width = group.heatmap.shape
        cell = torch.linspace(0, height * width - 1, MEASURED_CELLS).long().expand(num_frames, -1)
        group.read_cells(cell, torch.ones_like(cell, dtype=torch.bool))


def _is_here(kind: str) -> bool:
    """Return whether one of `auto`'s choices can be tried."""
    try:
        if kind == "bf16":
            check_precision(CPU, "bf16")
        if kind in OPENERS:
            check_onnx_installed()
        if kind == "openvino":
            import_openvino()
    except UserError:
        return False
    return True


def _prepare_file(model: nn.Module, checkpoint: Path) -> Path:
    """Return the ONNX file of the dense part beside the checkpoint; write it where it is not there yet."""
    assert has_dense_part(model)
    check_onnx_installed()
    path = _name_beside(model, checkpoint, ".onnx")
    if not _is_whole(path):
        if not os.access(path.parent, os.W_OK):
            path = Path(tempfile.mkdtemp(prefix="pcdet_poly-")) / path.name
        export_dense_part(model, path)
    return path


def _is_whole(path: Path) -> bool:
    """Return whether a file that may be made again is there and undamaged."""
    try:
        read_own_file(path)
    except UserError:
        return False
    return True


def _read_choices(path: Path) -> dict[str, str]:
    """Read what was fastest before, by processor; nothing where the file is not there, or damaged: it is made again."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _name_beside(model: nn.Module, checkpoint: Path, ending: str) -> Path:
    """Name a file that belongs to these very weights and settings, whatever the checkpoint's file will hold later."""
    content = hashlib.sha256(repr(model).encode())
    for name, values in model.state_dict().items():
        content.update(name.encode())
        content.update(values.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    content.update(repr(getattr(model, "grid", None)).encode())
    return checkpoint.with_name(f"{checkpoint.stem}.{content.hexdigest()[:12]}{ending}")
