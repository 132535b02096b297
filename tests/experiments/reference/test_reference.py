"""Our code gives the numbers of other projects' own code; and the command notices where it does not."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pcdet_poly.commands.main import main
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.reference.check_files import check_files
from pcdet_poly.experiments.reference.kinds import ADAPTERS, find_kind
from pcdet_poly.experiments.reference.output import compare, compare_angles, compare_rows
from pcdet_poly.ops import pillars as pillar_operations
from pcdet_poly.ops.gpu import pillars as plain_pillars

ROOT = Path(__file__).resolve().parents[3]
PEERS = ROOT / "tests/assets/peers"
FILES = sorted(PEERS.glob("*.npz"))
ENCODERS = ("pillar_vfe", "pillar_feature_net", "dyn_pillar_vfe")


def more_files() -> list[Path]:
    """Files of the same kinds made from other seeds, where there are some."""
    folder = Path(os.environ.get("PCDET_POLY_ORACLE", ROOT.parent / "shared" / "oracle"))
    files = sorted(folder.glob("peers/*.npz"))
    if not files:
        pytest.skip(f"no reference files in {folder / 'peers'}; set PCDET_POLY_ORACLE")
    return files


def test_every_kind_has_a_file() -> None:
    assert {find_kind(file) for file in FILES} == ADAPTERS.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_ours_holds(file: Path) -> None:
    (checked,) = check_files([file])
    assert checked.outputs
    assert [output for output in checked.outputs if not output.holds] == []


@pytest.mark.parametrize("kind", ENCODERS)
def test_encoders_hold_as_other_devices_run_them(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillar_operations, "find_back_end", lambda *_: plain_pillars)
    (checked,) = check_files([PEERS / f"{kind}_A.npz"])
    assert checked.outputs
    assert [output for output in checked.outputs if not output.holds] == []


def test_more_files_hold() -> None:
    differing = [checked.file.name for checked in check_files(more_files()) if not checked.holds]
    assert differing == []


def change_largest(file: Path, key: str, tmp_path: Path) -> Path:
    """Copy a file with the largest number of one array changed by 1/1000."""
    arrays = dict(np.load(file))
    arrays[key].flat[np.abs(arrays[key]).argmax()] *= 1.001
    np.savez(tmp_path / file.name, **arrays)
    return tmp_path / file.name


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("pillar_vfe", "two.eval.features"),
        ("pillar_vfe", "one.train.grad.pfn_layers.0.linear.weight"),
        ("pillar_feature_net", "two.train.after.pfn_layers.1.norm.running_var"),
        ("dyn_pillar_vfe", "train.features"),
        ("mean_vfe", "features"),
        ("adam_onecycle", "schedule.200.lr"),
        ("adam_onecycle", "step.2.after.a.weight"),
        ("pillarnext_backbone", "eval.output"),
        ("pillarnext_decode", "out.1.boxes9"),
        ("pillarnext_head", "train.1.dim"),
        ("pillarnext_loss", "grad.1.dim_at_objects"),
        ("pillarnext_loss", "loss.1.iou_regression"),
        ("pillarnext_neck", "train.checkpointed.after.post_conv.norm.running_var"),
        ("pillarnext_targets", "target.1.anno_box"),
    ],
)
def test_a_changed_number_differs(kind: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1/1000 of the maximum is above every tolerance, the loosest of which is 1/10,000 of it."""
    file = change_largest(PEERS / f"{kind}_A.npz", key, tmp_path)
    assert main(["reference", str(file)]) == 1
    assert f"{file.name}: DIFFERS" in capsys.readouterr().out


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reference", str(PEERS / "mean_vfe_A.npz"), "--json"]) == 0
    (ours,) = json.loads(capsys.readouterr().out)
    assert [output["name"] for output in ours["outputs"]] == ["coordinates", "features"]
    assert 0 <= ours["outputs"][1]["error"] <= ours["outputs"][1]["allowed"] < ours["outputs"][1]["maximum"]


def test_names_that_tell_no_kind_and_files_that_lack_an_array(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'pillar_vfe'"):
        find_kind(tmp_path / "piller_vfe_A.npz")
    np.savez(tmp_path / "mean_vfe_A.npz", points=np.zeros((1, 5), np.float32))
    with pytest.raises(UserError, match="no array 'frame' in it"):
        list(check_files([tmp_path / "mean_vfe_A.npz"]))
    shutil.copy(PEERS / "README.md", tmp_path / "mean_vfe_B.npz")
    with pytest.raises(UserError, match="not a readable"):
        list(check_files([tmp_path / "mean_vfe_B.npz"]))


def test_errors_of_arrays() -> None:
    theirs = np.array([1.0, -4.0, np.nan, np.inf])
    assert compare("a", torch.tensor(theirs), theirs).holds
    assert compare("a", np.add(theirs, [0.5, 0, 0, 0]), theirs).error == 0.5
    assert compare("a", np.array([1.0, 2.0]), np.array([1.0, np.nan])).error == math.inf
    assert compare("a", np.zeros(2), np.zeros(3)).error == math.inf
    assert compare("a", np.array([10.1]), np.array([10.0]), relative=0.02).holds
    assert not compare("a", np.array([10.1]), np.array([10.0]), relative=0.005).holds
    assert compare("a", np.zeros(0), np.zeros(0)).holds


def test_errors_of_angles_and_rows() -> None:
    assert compare_angles("a", [0.1, -3.0], np.array([0.1 + 2 * math.pi, -3.0]), absolute=1e-9).holds
    assert not compare_angles("a", [0.1], np.array([0.1 + math.pi]), absolute=1e-3).holds
    rows = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 1.0]])
    turned = np.add(rows, [0, 0, 2 * math.pi])
    assert all(output.holds for output in compare_rows("a", turned, rows, absolute=1e-9, angle=2))
    assert [output.holds for output in compare_rows("a", rows[:1], rows)] == [False]
    assert [output.holds for output in compare_rows("a", np.add(rows, [0, 1, 0]), rows, absolute=0.1, angle=2)] == [
        True,
        False,
        True,
    ]
