"""A .pth file of another project -> its weights by name, without running code from it."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from pcdet_poly.array_files import find_zip_damage
from pcdet_poly.errors import UserError

_UNREADABLE = (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, OSError, pickle.UnpicklingError)
_KEYS = ("model_state", "state_dict", "model")  # where projects keep the weights
_AVERAGED = ("model_ema", "ema_state_dict", "state_dict_ema", "ema_state", "ema")  # and their moving averages
_INNER = ("module", "shadow", "shadow_params", *_KEYS)  # in an entry that holds more than weights
_PREFIXES = ("module.", "_orig_mod.")  # of DistributedDataParallel, AveragedModel and torch.compile

_ZIP = b"PK"  # how files of torch 1.6 and later begin
_PICKLE = b"\x80"  # and older ones
Choice = Literal["raw", "ema"]


class _Ignored:
    """Stands for numpy's scalars, arrays and dtypes, which schedulers' states hold and weights do not."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def _ignore(*_: Any) -> _Ignored:
    return _Ignored()


# What a pickle calls numpy's own by; none of numpy's code runs for it.
_STAND_INS: list[Any] = [
    (_Ignored, "numpy.dtype"),
    (_Ignored, "numpy.ndarray"),
    *(
        (_ignore, f"numpy.{module}.multiarray.{name}")
        for module in ("core", "_core")
        for name in ("scalar", "_reconstruct")
    ),
]


def read_foreign_weights(path: Path, weights: Choice | None = None) -> dict[str, Tensor]:
    """Read the weights in a .pth file by name, prefixes of wrappers taken off, without running code from it.

    Args:
        path: of the file.
        weights: "ema" for moving averages, "raw" for what was averaged; None: averages where the file has some.

    Raises:
        UserError: the file is absent or damaged, cannot be read without running code, or lacks such weights.
    """
    content = _load(path)
    averaged, raw = _find_entry(content, _AVERAGED), _find_entry(content, _KEYS)
    found = averaged if weights == "ema" or (weights is None and averaged) else raw
    if not found and _holds_tensors(content) and weights != "ema":
        found = content
    if not found:
        looked = _AVERAGED if weights == "ema" else _KEYS
        raise UserError(f"{path}: no weights in it (looked for {', '.join(looked)}); name a checkpoint of a detector")
    named = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    return _strip_prefixes(named)


def has_averages(path: Path) -> bool:
    """Whether the file holds moving averages of the weights, too."""
    return bool(_find_entry(_load(path), _AVERAGED))


def _load(path: Path) -> Any:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise UserError(f"{path}: {found}; name a .pth checkpoint of OpenPCDet, CenterPoint or PillarNeXt")
    data = path.read_bytes()
    if data.startswith(_ZIP) and (damage := find_zip_damage(data, "checkpoint")):  # torch looks at no checksum
        raise UserError(f"{path}: {damage}; fetch it again")
    try:
        with torch.serialization.safe_globals(_STAND_INS):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        if not data.startswith((_ZIP, _PICKLE)):
            raise UserError(f"{path}: not a file that torch.save wrote; name a .pth checkpoint") from None
        reason = _find_reason(str(error)) or type(error).__name__
        raise UserError(
            f"{path}: cannot be read without running code from it ({reason}); save its state dict alone with "
            "torch.save(model.state_dict(), FILE)"
        ) from None


def _find_reason(message: str) -> str:
    """Find what torch says of a file. Around it stands advice to let the file's code run: nobody should follow that."""
    text = message.rpartition("WeightsUnpickler error: ")[2]
    return re.split(r"\. |\n", text, maxsplit=1)[0].strip()


def _find_entry(content: Any, keys: tuple[str, ...]) -> Mapping[Any, Any] | None:
    """Return the first mapping with tensors under one of `keys`, itself or in one of its entries."""
    for key in keys if isinstance(content, Mapping) else ():
        entry = content.get(key)
        inner = [entry.get(name) for name in _INNER] if isinstance(entry, Mapping) else []
        for candidate in (entry, *inner):
            if _holds_tensors(candidate):
                assert isinstance(candidate, Mapping)
                return candidate
    return None


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(each, Tensor) for each in value.values())


def _strip_prefixes(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off the prefixes of wrappers, and `model.` where every name has it."""
    stripped = {}
    for name, value in named.items():
        while prefix := next((each for each in _PREFIXES if name.startswith(each)), None):
            name = name.removeprefix(prefix)
        stripped[name] = value
    if all(name.startswith("model.") for name in stripped if name != "n_averaged"):
        return {name.removeprefix("model."): value for name, value in stripped.items()}
    return stripped
