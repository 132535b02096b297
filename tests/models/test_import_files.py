"""Files of weights of other projects: what is read, under which names, and that none of their code runs."""

from __future__ import annotations

import argparse
import collections
from pathlib import Path

import numpy as np
import pytest
import torch

from pcdet_poly.config.load import load_config
from pcdet_poly.errors import UserError
from pcdet_poly.models.import_checkpoint import find_project, read_foreign_weights
from pcdet_poly.models.import_checkpoint.foreign_file import has_averages
from pcdet_poly.models.import_checkpoint.peer_settings import decide_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("key", ["model_state", "state_dict", None])
@pytest.mark.parametrize("prefix", ["module.", "module._orig_mod.", "model.", ""])
def test_places_and_prefixes(key: str | None, prefix: str, tmp_path: Path) -> None:
    weights = {"a": torch.ones(2), "b.module.c": torch.zeros(1)}
    wrapped = {f"{prefix}{name}": value for name, value in weights.items()}
    torch.save({key: wrapped, "epoch": 3, "version": "x"} if key else wrapped, tmp_path / "a.pth")
    read = read_foreign_weights(tmp_path / "a.pth")
    assert read.keys() == weights.keys()
    assert torch.equal(read["a"], weights["a"])


@pytest.mark.parametrize(
    "entry",
    [
        {"model_ema": {"module.a": torch.ones(1)}},
        {"ema": {"decay": 0.99, "shadow": {"a": torch.ones(1)}}},
        {"ema_state": {"model_state": {"a": torch.ones(1)}, "updates": 3}},
    ],
)
def test_averages_are_taken_where_there_are_some_unless_the_others_are_wanted(entry: dict, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"model_state": {"a": torch.zeros(1)}, **entry}, path)
    assert has_averages(path)
    assert read_foreign_weights(path)["a"] == read_foreign_weights(path, "ema")["a"] == 1
    assert read_foreign_weights(path, "raw")["a"] == 0


def test_averages_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    torch.save({"model_state": {"a": torch.zeros(1)}}, tmp_path / "a.pth")
    assert not has_averages(tmp_path / "a.pth")
    with pytest.raises(UserError, match="looked for model_ema"):
        read_foreign_weights(tmp_path / "a.pth", "ema")


def test_a_file_of_averages_by_torch(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 1)
    averaged = torch.optim.swa_utils.AveragedModel(network, use_buffers=True)
    torch.save(averaged.state_dict(), tmp_path / "a.pth")
    read = read_foreign_weights(tmp_path / "a.pth")
    assert torch.equal(read["weight"], network.weight)


@pytest.mark.parametrize(
    "entry",
    [
        np.float64(0.003),
        np.int64(4),
        np.bool_(True),
        {"lr": np.float32(1.0), "steps": np.arange(3)},
        np.array(["a", "b"]),
        np.array([{"x": 1}], dtype=object),
    ],
    ids=["float64", "int64", "bool", "nested", "text", "objects"],
)
@pytest.mark.parametrize("module", ["numpy._core", "numpy.core"])  # of numpy 2, and of numpy 1
def test_numpy_in_other_entries(entry: object, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pth"
    torch.save({"model_state": {"a": torch.ones(1)}, "scheduler": entry}, path)
    if module == "numpy.core":
        rename_in_pickle(path, b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert read_foreign_weights(path)["a"] == 1


def rename_in_pickle(path: Path, old: bytes, new: bytes) -> None:
    """Rewrite the names in a saved file's pickle (protocol 2 writes them as lines)."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data.replace(old, new) if name.endswith("data.pkl") else data)


class Evil:
    def __reduce__(self):
        return print, ("ran",)


class EvilInScalar:
    """Calls numpy's scalar with an object that would run code when it is built."""

    def __reduce__(self):
        return np._core.multiarray.scalar, (np.dtype("O"), Evil())


class EvilInState:
    """Sets attributes of numpy's dtype to what would run code."""

    def __reduce__(self):
        return np.dtype, ("f8", False, True), {"__class__": Evil()}


@pytest.mark.parametrize("place", ["beside", "inside"])
@pytest.mark.parametrize(
    "evil", [Evil(), EvilInScalar(), EvilInState(), np.array([Evil()], dtype=object), argparse.Namespace(a=Evil())]
)
def test_no_code_runs(evil: object, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights: dict[str, object] = {"a": torch.ones(1)}
    content = {"model_state": weights, "x": evil} if place == "beside" else {"model_state": {**weights, "b": evil}}
    torch.save(content, tmp_path / "evil.pth")
    with pytest.raises(UserError, match=r"evil\.pth: cannot be read without running code") as error:
        read_foreign_weights(tmp_path / "evil.pth")
    assert "\n" not in str(error.value)
    assert "ran" not in capsys.readouterr().out


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no")
    torch.save({"epoch": 1}, tmp_path / "empty.pth")
    torch.save(collections.OrderedDict(a=torch.ones(1)), tmp_path / "good.pth")
    (tmp_path / "torn.pth").write_bytes((tmp_path / "good.pth").read_bytes()[:-100])
    for name in ("text.pth", "empty.pth", "absent.pth", "torn.pth"):
        with pytest.raises(UserError, match=name) as error:
            read_foreign_weights(tmp_path / name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("voxel_encoder.pfn_layers.0.linear.weight", "mmdetection3d"),
        ("pts_bbox_head.task_heads.0.reg.0.conv.weight", "mmdetection3d"),
        ("backbone.layer1.0.conv1.weight", "PillarNeXt"),
        ("roi_head.shared_fc_layer.0.weight", "second stage"),
        ("backbone_3d.input_layer.posembed_layers.0.weight", "a backbone"),
        ("dense_head.heads_list.1.hm.1.weight", "several groups"),
        ("bbox_head.tasks.3.hm.3.bias", "several groups"),
    ],
)
def test_networks_that_are_not_accepted_are_refused_by_name(name: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        find_project(["backbone_2d.blocks.0.1.weight", name])


PUBLISHED = [
    ("OpenPCDet", "centerpoint_pillar", None),
    ("OpenPCDet", "centerpoint_dynamic_pillar", None),
    ("OpenPCDet", "centerpoint_voxel", "hard"),
    ("OpenPCDet", "centerpoint_voxel_residual", "hard"),
    ("OpenPCDet", "pointpillars", None),
    ("CenterPoint", "centerpoint_repo_pillar", None),
    ("CenterPoint", "centerpoint_repo_voxel", "hard"),
]


@pytest.mark.parametrize(("project", "recipe", "encoder"), PUBLISHED, ids=lambda value: str(value))
def test_a_published_recipe_needs_no_change_for_weights_of_its_project(
    project: str, recipe: str, encoder: str | None
) -> None:
    config = load_config(ROOT / f"configs/published/{recipe}.yaml")
    assert [one for one in decide_settings(project, [], config, encoder, []) if one.changes] == []
