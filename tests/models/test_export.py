"""ONNX files give what PyTorch gives, for any number of points and pillars."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch

from pcdet_poly.commands.main import main
from pcdet_poly.config.schema import Config
from pcdet_poly.engine.checkpoint import Checkpoint, config_values, save_checkpoint
from pcdet_poly.engine.run import start_run
from pcdet_poly.errors import UserError
from pcdet_poly.models import Recipe, build_recipe
from pcdet_poly.models.export import export_onnx
from pcdet_poly.models.export.compare_onnx import measure_largest_difference
from pcdet_poly.models.export.whole_detector import WholeDetector
from pcdet_poly.optional_libraries import import_onnxruntime
from pcdet_poly.structures import Batch, GroundTruth
from tests.models.foreign import norm
from tests.tolerances import NETWORK

BACKBONE = {"layers": [1, 1], "strides": [1, 2], "channels": [4, 6], "up_strides": [1, 2], "up_channels": [4, 4]}
GRID = {"lower": [-6.4, -3.2, -2], "upper": [6.4, 3.2, 4], "cell": [0.8, 0.8, 6]}
MODELS = {
    "centerpoint_pillar": {"head_width": 4, "encoder_channels": [8, 8], "backbone": BACKBONE},
    "hard": {
        **{"kind": "centerpoint_pillar", "head_width": 4, "encoder_channels": [8, 8, 4], "backbone": BACKBONE},
        **{"encoder": "hard", "max_points": 3, "centre_offsets": "xy", "iou_branch": True},
    },
    "any height": {
        "kind": "pointpillars",
        "encoder": "dynamic_any_height",
        "encoder_channels": [8, 8],
        "backbone": BACKBONE,
    },
}
SPARSE = {
    **{"kind": "centerpoint_pillar", "encoder_channels": [8, 8], "encoder": "hard", "max_points": 3, "head_width": 8},
    **{
        "sparse": {"channels": [8, 8], "strides": [1, 2], "blocks": [0, 1], "out_channels": 8},
        "aspp": {"dilations": [2]},
    },
    **{"groups": [["PEDESTRIAN"], ["VEHICLE"]], "head_up": 2, "heading": "bins", "iou_branch": True, "velocity": True},
}
SPARSE_DECODE = {
    **{"top_k": None, "candidates": "best_class", "peaks": ["none", "3x3"], "iou_weight": [0.3, 0.5]},
    **{"nms_iou": [0.5, 0.2], "limits": "per_class"},
}
# Whole configs: together, every part that a whole detector may have.
WHOLE = {
    "anchors": {
        "grid": GRID,
        "model": {"kind": "pointpillars", **MODELS["any height"]},
        "data": {"age": "always"},
        "decode": {"score": 0.004},
    },
    "sparse": {"grid": GRID, "model": SPARSE, "data": {"classes": ["VEHICLE", "PEDESTRIAN"]}, "decode": SPARSE_DECODE},
    "centre": {"grid": GRID, "model": {"kind": "centerpoint_pillar", **MODELS["centerpoint_pillar"]}},
    "hard": {"grid": GRID, "model": MODELS["hard"], "decode": {"preset": "openpcdet_center_iou", "top_k": 60}},
}


def config(name: str) -> Config:
    return Config.model_validate({"grid": GRID, "model": {"kind": name, **MODELS[name]}})


def set_statistics(cfg: Config) -> Recipe:
    """Batch norms as after a training: a fresh one would hide how it is folded."""
    torch.manual_seed(0)
    recipe = build_recipe(cfg)
    for module in recipe.model.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.load_state_dict(norm(module.num_features, 1).state_dict())
    recipe.model.eval()
    return recipe


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[torch.nn.Module, list[str], Path]]:
    """Model, names of outputs and file, exported once."""

    @cache
    def export(name: str) -> tuple[torch.nn.Module, list[str], Path]:
        model, path = set_statistics(config(name)).model, tmp_path_factory.mktemp("onnx") / "a.onnx"
        return model, export_onnx(model, path), path

    return export


@pytest.mark.parametrize("name", ["hard", "any height"])  # the command exports the other
def test_equal_on_other_sizes_than_the_exported(name: str, exported: Callable) -> None:
    model, names, path = exported(name)
    assert ("iou" in names) == (name == "hard")
    for num_points in (1, 5000):
        assert measure_largest_difference(model, path, num_points) < NETWORK["atol"]


def test_a_changed_weight_is_noticed(exported: Callable) -> None:
    model, _, path = exported("hard")
    changed = deepcopy(model)
    with torch.no_grad():
        changed.encoder.layers[0].norm.running_var.mul_(2)
    assert measure_largest_difference(changed, path, 500) > 1e-3


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("num_points", [0, 1, 3000])
@torch.no_grad()
def test_whole_detectors_in_plain_operations_find_the_same_boxes(name: str, num_points: int) -> None:
    recipe = set_statistics(Config.model_validate(WHOLE[name]))
    channels = recipe.model.point_channels
    low, high = torch.tensor([-8.0, -5, -4, 0, 0, 0]), torch.tensor([8.0, 5, 6, 3, 1, 0])
    points = (low + torch.rand(num_points, 6, generator=torch.Generator().manual_seed(1)) * (high - low))[:, :channels]
    found = WholeDetector(recipe.model, recipe.decode).eval()(points)
    points[:, 3].tanh_()
    batch = Batch(points, torch.zeros(num_points, dtype=torch.int64), (GroundTruth.empty().to("cpu"),), ("a/0",))
    wanted = [values[0] for values in recipe.decode.find_boxes(recipe.model(batch))]
    is_candidate = wanted[2] > 0
    assert is_candidate.any()
    if len(wanted) == 3:
        wanted.append(wanted[2])  # anchors have one score
    for ours, theirs in zip(found, wanted, strict=False):
        # Rounding: 1e-6 of sums of a few hundred products, by the sizes of boxes.
        torch.testing.assert_close(ours[is_candidate], theirs[is_candidate], rtol=1e-4, atol=1e-4)


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Linear: has operations that ONNX lacks"):
        export_onnx(torch.nn.Linear(1, 1), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = config("centerpoint_pillar")
    run = start_run(tmp_path / "run", cfg, torch.device("cpu"), resume=False)
    weights = set_statistics(cfg).model.state_dict()
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
