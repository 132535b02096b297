"""A run's state in one file: tensors and plain types, so that `torch.load(weights_only=True)` reads it."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pcdet_poly.array_files import find_zip_damage
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.rsn import SegmentationConfig
from pcdet_poly.distributed import rank
from pcdet_poly.engine.checkpoint_damage import compute_checksum
from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.names.shown_names import print_line

FORMAT = 1
Weights = Literal["raw", "ema"]
# Settings of a model that weigh losses, choose targets or starting weights: trained weights mean the same with others.
_MEAN_NOTHING = frozenset(
    f"model.{name}"
    for name in (
        *("prior", "smooth_l1_beta", "box_weight", "code_weights", "direction_weight", "equal_overlaps"),
        *("foreground_score", "sigma_m", "box_heat", "sparse_backend"),
        *(f"segmentation.{name}" for name in SegmentationConfig.model_fields),
    )
)
_UNREADABLE = (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError)  # what torch.load raises


class DamagedCheckpointError(UserError):
    """The file is no checkpoint, or its bytes are not those that were written."""


@dataclass(frozen=True)
class Checkpoint:
    """What is needed to go on after `step` steps, or to detect."""

    step: int  # steps done
    steps_per_epoch: int
    config: Mapping[str, Any]  # the whole resolved config, as `config_values` gives it
    model: Mapping[str, Tensor]  # state dict
    optimizer: Mapping[str, Any]  # state dict
    window: Mapping[str, Any]  # state dict of the losses not yet logged
    score: float | None = None  # of the evaluation that chose it, where one did
    average: Mapping[str, Tensor] | None = None  # state dict of the moving average, where the run keeps one
    scaler: Mapping[str, Any] = field(default_factory=dict)  # state dict of the loss scale
    world_size: int = 1  # processes that trained
    matched: Mapping[str, Any] = field(default_factory=dict)  # state dicts of the losses that measure gradients


def config_values(config: Config) -> dict[str, Any]:
    """Return all settings as plain types, nested as in YAML."""
    return config.model_dump(mode="json")


def config_hash(values: Mapping[str, Any]) -> str:
    """Return twelve hex digits that differ where any setting differs."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def model_signature(model: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """Return the shape of every tensor of a state dict, by name."""
    return {name: list(tensor.shape) for name, tensor in model.items()}


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `path` whole or not at all."""
    content = {
        "format": FORMAT,
        "config_hash": config_hash(checkpoint.config),
        "signature": model_signature(checkpoint.model),
        **{name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__},
    }
    content["checksum"] = compute_checksum(content)
    # Given a path or a file, torch turns a full disk into a RuntimeError that does not say so.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(buffer.getbuffer())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a file of `save_checkpoint` onto the host.

    Raises UserError for any other file, and DamagedCheckpointError where a byte has changed since it was written.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; train first, or name another with --checkpoint")
    data = path.read_bytes()
    if damage := find_zip_damage(data, "checkpoint"):
        raise DamagedCheckpointError(f"{path}: {damage}; use another one with --checkpoint")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except _UNREADABLE:
        raise DamagedCheckpointError(
            f"{path}: not a checkpoint, or a damaged one; use another one with --checkpoint"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise UserError(f"{path}: checkpoint format {found}, this version reads {FORMAT}; train again to make one")
    checksum = content.pop("checksum", None)  # files of earlier versions have none
    if checksum is not None and checksum != compute_checksum(content):
        raise DamagedCheckpointError(f"{path}: damaged: its checksum is wrong; use another one with --checkpoint")
    return Checkpoint(**{name: content[name] for name in Checkpoint.__dataclass_fields__ if name in content})


def choose_weights(checkpoint: Checkpoint, path: Path, which: Weights | None = None) -> Mapping[str, Tensor]:
    """Return the state dict of the last step's weights, or that of their moving average.

    Args:
        checkpoint: the checkpoint that holds them.
        path: its file, for the error.
        which: `raw` for the last step's, `ema` for the average; by default the average where there is one.

    Raises:
        UserError: where an average is asked for and there is none.
    """
    if which == "ema" and checkpoint.average is None:
        raise UserError(f"{path}: holds no averaged weights (the run had no train.ema); use --weights raw")
    return checkpoint.model if which == "raw" or checkpoint.average is None else checkpoint.average


def load_model(
    model: nn.Module, checkpoint: Checkpoint, path: Path, config: Config, *, weights: Weights | None = None
) -> None:
    """Copy the weights of a checkpoint into `model`.

    Args:
        model: the network; changed in place.
        checkpoint: where the weights come from.
        path: its file, for the error.
        config: the settings that `model` was built from, for the error.
        weights: `raw` or `ema`, see `choose_weights`.

    Raises:
        UserError: at the first tensor that does not fit, or where the same numbers would mean something else: the
            classes in another order, another grid, another encoder.
    """
    state = choose_weights(checkpoint, path, weights)
    wanted, found = model_signature(model.state_dict()), model_signature(state)
    for name in [*wanted, *(found.keys() - wanted.keys())]:
        if wanted.get(name) != found.get(name):
            raise UserError(
                f"{path}: made by another model: {name} is {_describe_shape(found, name)} there and "
                f"{_describe_shape(wanted, name)} here"
                f"{_describe_difference(checkpoint.config, config)}; use the config that it was trained with"
            )
    if (difference := find_changed_meaning(checkpoint.config, config)) is not None:
        key, old, new = difference
        raise UserError(
            f"{path}: its weights were trained with {key} = {old}, and {key} = {new} would read them wrongly; "
            f"leave {key} as it was, or train with the new one"
        )
    model.load_state_dict(dict(state))
    _warn_of_other_inputs(checkpoint.config, path, config)


def _warn_of_other_inputs(there: Mapping[str, Any], path: Path, config: Config) -> None:
    """Say on stderr which points the weights have not been trained with: the network takes them all the same."""
    before, now = there.get("data", {}), config_values(config)["data"]
    for name in ("returns", "sweeps"):
        if name in before and before[name] != now[name] and rank() == 0:
            text = f"trained with data.{name} = {before[name]}, used with {now[name]}: the AP is of other points"
            print_line(f"warning: {path}: {text}", file=sys.stderr)


def find_changed_meaning(there: Mapping[str, Any], config: Config) -> tuple[str, Any, Any] | None:
    """Return the first setting with which weights that fit by shape would mean something else, or None.

    Args:
        there: the settings that the weights were trained with, as plain types; those that it lacks, because an earlier
            version wrote it, are not looked at.
        config: the settings that they are to be used with.

    Returns:
        The key with dots between sections, its value there, its value in `config`.
    """
    meant = config.model_dump(mode="json", include={"data": {"classes"}, "grid": True, "model": True})
    return find_first_difference(_select_known(there, meant), _select_known(meant, there), ignore=_MEAN_NOTHING)


def _select_known(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of `values` that `wanted` has too, section by section."""
    both = {name: value for name, value in values.items() if name in wanted}
    nested = {n: v for n, v in both.items() if isinstance(v, Mapping) and isinstance(wanted[n], Mapping)}
    return both | {name: _select_known(value, wanted[name]) for name, value in nested.items()}


def find_first_difference(
    there: Mapping[str, Any], here: Mapping[str, Any], *, ignore: frozenset[str] = frozenset(), prefix: str = ""
) -> tuple[str, Any, Any] | None:
    """Return key and both values of the first setting that differs, or None where none does.

    Args:
        there: settings as plain types, nested.
        here: others, in whose order differences are looked for.
        ignore: keys, dots between sections, that may differ.
        prefix: what stands in front of all keys, "" for whole configs.

    Returns:
        The key with dots between sections, the value in `there`, the value in `here`.
    """
    for name in [*here, *(there.keys() - here.keys())]:
        key, old, new = f"{prefix}{name}", there.get(name), here.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if (inner := find_first_difference(old, new, ignore=ignore, prefix=f"{key}.")) is not None:
                return inner
        elif old != new and key not in ignore:
            return key, old, new
    return None


def _describe_difference(there: Mapping[str, Any], config: Config) -> str:
    here = config_values(config)
    for section in ("model", "grid", "data"):
        only = frozenset({"data.train", "data.val", "data.workers"})
        difference = find_first_difference({section: there.get(section)}, {section: here[section]}, ignore=only)
        if difference is not None:
            key, old, new = difference
            return f" ({key} = {old} there, {new} here)"
    return ""


def _describe_shape(signature: Mapping[str, list[int]], name: str) -> str:
    return f"{tuple(signature[name])}" if name in signature else "missing"
