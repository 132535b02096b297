"""A checkpoint with PillarNeXt's names becomes a run of ours, part by part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pcdet_poly.commands.main import main
from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.engine.detector import Detector
from pcdet_poly.models import build_recipe
from pcdet_poly.models.import_checkpoint import convert, read_foreign_weights

CONFIG = {
    "grid": {"lower": [-3.2, -3.2, -10], "upper": [3.2, 3.2, 10], "cell": [0.2, 0.2, 20]},
    "model": {
        "kind": "centerpoint_pillar",
        "encoder_channels": [8, 8],
        "sparse": {"channels": [6, 10], "strides": [1, 2], "blocks": [2, 1], "out_channels": 10},
        "aspp": {"dilations": [1, 2]},
        "groups": [["VEHICLE"], ["PEDESTRIAN", "CYCLIST"]],
        "head_width": 8,
        "head_up": 2,
    },
}
BRANCHES = {
    "heatmap": "hm",
    "offset": "reg",
    "z": "height",
    "size": "dim",
    "heading": "rot",
    "iou": "iou",
    "velocity": "vel",
}


def name_theirs(ours: str) -> str:
    """The name that PillarNeXt gives a tensor of ours."""
    words = ours.split(".")
    match words:
        case ["encoder", _, layer, part, field]:
            return f"reader.pfn_layers.{layer}.{part}.{field}"
        case ["sparse", "stages", stage, "strided", part, field]:
            return f"backbone.blocks.{stage}.0.{part}.{field}"
        case ["sparse", "stages", stage, "blocks", "layers", layer, part, field]:
            named = {"conv1": "block1.conv", "norm1": "block1.norm"}.get(part, part)
            return f"backbone.blocks.{stage}.{int(layer) + 1}.{named}.{field}"
        case ["sparse", part, field]:
            return f"backbone.mapping.{['output', 'norm'].index(part)}.{field}"
        case ["backbone", "stages", "0", part, field]:
            return f"neck.pre_conv.block{part[-1]}.{'conv.conv' if 'conv' in part else 'norm'}.{field}"
        case ["backbone", "stages", "1", *rest]:
            named = {"kernel": "weight", "point": "conv1x1", "output": "post_conv.conv.conv", "norm": "post_conv.norm"}
            return ".".join(["neck", named[rest[0]], *rest[1:]])
        case ["head", "shared", *rest]:
            return ".".join(["head.shared_conv", *rest])
        case ["head", "groups", group, "up", part, field]:
            return f"head.tasks.{group}.deblock.{['conv.conv', 'norm'][int(part)]}.{field}"
        case ["head", "groups", group, "branches", branch, part, field]:
            return f"head.tasks.{group}.{BRANCHES[branch]}.{part}.{field}"
    raise AssertionError(ours)


def store_theirs(tensor: Tensor, ours: str) -> Tensor:
    """The tensor as PillarNeXt stores it: sparse kernels without z, the 1 x 1 one's numbers in order of (in, out)."""
    if ours == "sparse.output.weight":
        return tensor.T.reshape(tensor.shape[0], 1, 1, tensor.shape[1])
    return tensor[:, 0] if tensor.ndim == 5 else tensor


def make_model(**changes: object) -> torch.nn.Module:
    torch.manual_seed(4)
    values = {"iou_branch": True, "velocity": True, "encoder": "dynamic_any_height", "centre_offsets": "xy", **changes}
    data = {"elongation": False, "age": "always"}
    config = Config.model_validate({**CONFIG, "data": data, "model": {**CONFIG["model"], **values}})
    model = build_recipe(config).model
    for value in model.state_dict().values():
        value.uniform_(0.5, 1.5) if value.is_floating_point() else None
    return model


@pytest.fixture
def checkpoint(tmp_path: Path) -> tuple[Path, torch.nn.Module]:
    """A file of PillarNeXt's names and order of numbers, and the network that its weights are of."""
    model = make_model()
    weights = {f"module.{name_theirs(name)}": store_theirs(each, name) for name, each in model.state_dict().items()}
    torch.save({"meta": {"epoch": 36}, "state_dict": weights}, tmp_path / "theirs.pth")
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG))
    return tmp_path / "theirs.pth", model


def test_the_run_has_their_weights_and_settings(
    checkpoint: tuple[Path, torch.nn.Module], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, model = checkpoint
    words = [
        "import-checkpoint",
        str(file),
        "--config",
        str(tmp_path / "config.yaml"),
        "--output",
        str(tmp_path / "run"),
    ]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "0 of ours not given" in printed
    config = load_config(tmp_path / "run" / "config.yaml")
    decided = {
        "model.encoder": "dynamic_any_height",
        "model.centre_offsets": "xy",
        "data.elongation": "false",
        "data.age": "always",
        "model.iou_branch": "true",
        "model.velocity": "true",
        "decode.preset": "pillarnext",
    }
    for setting, value in decided.items():
        section, _, key = setting.partition(".")
        assert str(getattr(getattr(config, section), key)).lower() == value
        assert f"{setting} = {value}: " in printed
    assert "sweeps: 1, the config's" in printed
    found = Detector.load(tmp_path / "run").model.state_dict()
    wanted = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    assert len(wanted) > 100


def test_every_change_of_a_tensor_is_told(checkpoint: tuple[Path, torch.nn.Module]) -> None:
    conversion = convert(read_foreign_weights(checkpoint[0]), checkpoint[1].state_dict())
    notes = {line.target: line.note for line in conversion.lines if line.used and line.note != "copied"}
    assert notes.pop("sparse.output.weight") == "read as (in, out), as spconv reads a 1 x 1 kernel"
    kernels = {name for name, value in checkpoint[1].state_dict().items() if value.ndim == 5}
    assert notes == dict.fromkeys(kernels, "copied; an axis along z inserted")
    assert conversion.project == "PillarNeXt"
    assert not conversion.unused + conversion.missing


def test_hard_pillars_are_refused(
    checkpoint: tuple[Path, torch.nn.Module], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["import-checkpoint", str(checkpoint[0]), "--config", str(tmp_path / "config.yaml"), "--encoder", "hard"]
    assert main(words) != 0
    assert "--encoder hard: PillarNeXt has no hard pillars; its PillarFeatureNet is dynamic" in capsys.readouterr().err
