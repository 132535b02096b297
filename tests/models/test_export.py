"""ONNX files give what PyTorch gives, for any number of points and pillars."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from pcdet_poly.commands.main import main
from pcdet_poly.config.schema import Config
from pcdet_poly.engine.checkpoint import Checkpoint, config_values, save_checkpoint
from pcdet_poly.engine.run import start_run
from pcdet_poly.errors import UserError
from pcdet_poly.models import build_recipe
from pcdet_poly.models.export import export_onnx
from pcdet_poly.models.export.compare_onnx import measure_largest_difference
from pcdet_poly.models.export.libraries import import_onnxruntime
from tests.models.foreign import norm

BACKBONE = {"layers": [1, 1], "strides": [1, 2], "channels": [4, 6], "up_strides": [1, 2], "up_channels": [4, 4]}
GRID = {"lower": [-6.4, -3.2, -2], "upper": [6.4, 3.2, 4], "cell": [0.8, 0.8, 6]}
MODELS = {
    "centerpoint_pillar": {"head_width": 4, "encoder_channels": [8, 8], "backbone": BACKBONE},
    "iou": {"kind": "centerpoint_pillar", "head_width": 4, "iou_branch": True, "backbone": BACKBONE},
    "pointpillars": {"encoder_channels": [8, 8], "backbone": BACKBONE},
    "hard": {
        **{"kind": "centerpoint_pillar", "head_width": 4, "encoder_channels": [8, 8, 4], "backbone": BACKBONE},
        **{"encoder": "hard", "max_points": 3, "centre_offsets": "xy"},
    },
    "any height": {
        "kind": "pointpillars",
        "encoder": "dynamic_any_height",
        "encoder_channels": [8],
        "backbone": BACKBONE,
    },
}


def config(name: str) -> Config:
    return Config.model_validate({"grid": GRID, "model": {"kind": name, **MODELS[name]}})


def model_with_statistics(name: str) -> torch.nn.Module:
    """Batch norms as after a training: a fresh one would hide how it is folded."""
    torch.manual_seed(0)
    model = build_recipe(config(name)).model
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.load_state_dict(norm(module.num_features, 1).state_dict())
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_equal_on_other_sizes_than_the_exported(name: str, tmp_path: Path) -> None:
    model = model_with_statistics(name)
    names = export_onnx(model, tmp_path / "a.onnx")
    assert ("iou" in names) == (name == "iou")
    for num_points in (1, 5000):
        assert measure_largest_difference(model, tmp_path / "a.onnx", num_points) < 1e-4


def test_a_changed_weight_is_noticed(tmp_path: Path) -> None:
    model = model_with_statistics("centerpoint_pillar")
    export_onnx(model, tmp_path / "a.onnx")
    with torch.no_grad():
        model.encoder.layers[0].norm.running_var.mul_(2)
    assert measure_largest_difference(model, tmp_path / "a.onnx", 500) > 1e-3


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Linear: has operations that ONNX lacks"):
        export_onnx(torch.nn.Linear(1, 1), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = config("centerpoint_pillar")
    run = start_run(tmp_path / "run", cfg, torch.device("cpu"), resume=False)
    weights = model_with_statistics("centerpoint_pillar").state_dict()
    save_checkpoint(run.checkpoint_path(1), Checkpoint(1, 1, config_values(cfg), weights, {}, {}))
    assert main(["export", str(run.folder), "--onnx"]) == 0
    assert "opset 18" in capsys.readouterr().out
    description = json.loads((run.folder / "model.json").read_text())
    assert (description["columns"], description["rows"]) == (16, 8)
    assert description["outputs"] == ["heatmap", "offset", "z", "size", "heading"]


def test_onnxruntime_sends_nothing_to_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    import_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
