"""The command import-checkpoint: the run it makes is the peer's detector, and it says what it decided."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pcdet_poly.commands.main import main
from pcdet_poly.config.load import load_config
from pcdet_poly.engine.detector import Detector
from pcdet_poly.errors import UserError
from pcdet_poly.models import build_recipe
from tests.models.foreign import Blocks, CenterPointHead, Foreign, PcdetAnchorHead, PcdetHead, Vfe
from tests.models.test_import_checkpoint import BACKBONE, CONFIG, SIZES, batch, foreign_maps

MAPS = {"hm": "heatmap", "center": "offset", "reg": "offset", "center_z": "z", "height": "z"}

OPENPCDET = ("vfe", "backbone_2d", "dense_head")


def openpcdet(rows: int = 0) -> Foreign:
    torch.manual_seed(1)
    return Foreign(vfe=Vfe(11, (8, 8), rows), backbone_2d=Blocks(*SIZES, False), dense_head=PcdetHead(12, 8, 3))


def centerpoint() -> Foreign:
    torch.manual_seed(2)
    return Foreign(reader=Vfe(10, (8, 8), 20), neck=Blocks(*SIZES, True), bbox_head=CenterPointHead(12, 8, 3))


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Save a network's weights, import them with some more words; exit code and what was printed."""

    def call(network: torch.nn.Module, *words: str, model: dict | None = None, **extra: object) -> tuple[int, str]:
        (tmp_path / "c.yaml").write_text(json.dumps(CONFIG if model is None else {**CONFIG, "model": model}))
        torch.save({"model_state": {**network.state_dict(), **extra}}, tmp_path / "a.pth")
        files = [str(tmp_path / name) for name in ("a.pth", "c.yaml", "run")]
        code = main(["import-checkpoint", files[0], "--config", files[1], "--output", files[2], *words])
        written = capsys.readouterr()
        return code, written.out + written.err

    return call


@pytest.mark.parametrize(
    ("network", "words", "parts", "settings"),
    [
        (openpcdet(20), ["--encoder", "hard"], ("vfe", "backbone_2d", "dense_head", 3), ("hard", "xyz")),
        (
            openpcdet(),
            ["--encoder", "dynamic"],
            ("vfe", "backbone_2d", "dense_head", 3, True),
            ("dynamic_any_height", "xyz"),
        ),
        (centerpoint(), [], ("reader", "neck", "bbox_head", 2), ("hard", "xy")),
    ],
    ids=["hard", "dynamic", "CenterPoint"],
)
def test_the_run_has_their_maps(
    command: Command, network: Foreign, words: list[str], parts: tuple, settings: tuple, tmp_path: Path
) -> None:
    code, printed = command(network, *words)
    assert code == 0
    config = load_config(tmp_path / "run/config.yaml")
    assert (config.model.encoder, config.model.centre_offsets) == settings
    targets = ("exact", "objects") if settings[1] == "xy" else ("cut", "peaks")
    assert (config.targets.border, config.classification.normalizer) == targets
    assert f"targets.border = {targets[0]}: " in printed
    assert f"model.encoder = {settings[0]}" in printed
    assert f"decode.preset = {config.decode.preset}" in printed
    assert config.decode.preset == ("centerpoint_repo" if settings[1] == "xy" else "openpcdet_center")
    detector = Detector.load(tmp_path / "run")
    with torch.no_grad():
        maps = detector.model(batch())
    for name, theirs in foreign_maps(network, *parts).items():
        if name in MAPS:  # the others are in another order, which the conversion's own tests look at
            gap = (getattr(maps, MAPS[name]) - theirs).abs().max()
            assert gap <= 1e-5 * theirs.abs().max(), name
    assert detector(batch().points.numpy()).box.shape[1] == 7


def test_a_wrong_encoder_gives_other_maps(command: Command, tmp_path: Path) -> None:
    """Else nothing would depend on the question."""
    network = openpcdet(20)
    assert command(network, "--encoder", "dynamic")[0] == 0
    with torch.no_grad():
        maps = Detector.load(tmp_path / "run").model(batch())
    theirs = foreign_maps(network, *OPENPCDET, 3)["hm"]
    assert (maps.heatmap - theirs).abs().max() > 1e-3 * theirs.abs().max()


def test_what_names_cannot_tell_has_to_be_said(command: Command, tmp_path: Path) -> None:
    code, printed = command(openpcdet())
    assert code == 2
    assert "PillarVFE (hard) and DynPillarVFE (dynamic) have weights of the same names" in printed
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("answers", "encoder"), [("hard\n", "hard"), ("what?\ndynamic\n", "dynamic_any_height")])
def test_a_terminal_is_asked(
    answers: str, encoder: str, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    terminal = io.StringIO(answers)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert command(openpcdet())[0] == 0
    assert load_config(tmp_path / "run/config.yaml").model.encoder == encoder


def test_a_config_that_tells_and_settings_that_are_given(command: Command, tmp_path: Path) -> None:
    hard = {**CONFIG["model"], "encoder": "hard", "max_points": 32}
    code, printed = command(openpcdet(20), "decode.preset=ours", "decode.score=0.3", model=hard)
    assert code == 0
    assert "model.encoder = hard: PillarVFE, as the config has it (unchanged)" in printed
    assert "decode.preset = ours: given on the command line" in printed
    config = load_config(tmp_path / "run/config.yaml")
    assert (config.model.max_points, config.decode.preset, config.decode.score) == (32, "ours", 0.3)


def test_the_option_wins_over_the_config(command: Command, tmp_path: Path) -> None:
    hard = {**CONFIG["model"], "encoder": "hard", "max_points": 32}
    assert command(openpcdet(), "--encoder", "dynamic", model=hard)[0] == 0
    assert load_config(tmp_path / "run/config.yaml").model.encoder == "dynamic_any_height"


def test_centerpoint_has_no_dynamic_pillars(command: Command) -> None:
    code, printed = command(centerpoint(), "--encoder", "dynamic")
    assert code == 2
    assert "CenterPoint has no dynamic pillars" in printed


def test_an_anchor_head(command: Command, tmp_path: Path) -> None:
    network = Foreign(vfe=Vfe(11, (8, 8), 20), backbone_2d=Blocks(*SIZES, False), dense_head=PcdetAnchorHead(12, 6, 3))
    model = {"kind": "pointpillars", "encoder_channels": [8, 8], "backbone": BACKBONE}
    assert command(network, "--encoder", "hard", model=model)[0] == 0
    config = load_config(tmp_path / "run/config.yaml")
    assert (config.model.encoder, config.decode.preset) == ("hard", "openpcdet_anchor")
    assert config.model.equal_overlaps == "float32"


def test_a_run_that_is_there_is_kept(command: Command) -> None:
    assert command(centerpoint())[0] == 0
    code, printed = command(centerpoint())
    assert (code, printed.count("\n")) == (2, 1)
    assert "already there; choose another --output" in printed


def test_tensors_without_a_place_are_refused_unless_allowed(command: Command) -> None:
    code, printed = command(openpcdet(), "--encoder", "hard", stranger=torch.zeros(1))
    assert code == 2
    assert "1 of its tensors have no place here, the first is stranger" in printed
    assert command(openpcdet(), "--encoder", "hard", "--partial", stranger=torch.zeros(1))[0] == 0


@pytest.mark.parametrize(("words", "max_points"), [(["--encoder", "hard"], 5), (["--encoder", "dynamic"], None)])
def test_voxel_means(words: list[str], max_points: int | None, command: Command, tmp_path: Path) -> None:
    """Weights of a sparse backbone are ours here, under names that lack a place: only the settings count."""
    network = Foreign(dense_head=PcdetHead(512, 64, 3))
    code, printed = command(
        network, "--partial", *words, "grid.cell=[0.1,0.1,0.15]", model={"kind": "centerpoint_voxel"}
    )
    assert code == 0, printed
    assert load_config(tmp_path / "run/config.yaml").model.max_points == max_points
    assert build_recipe(load_config(tmp_path / "run/config.yaml")).model.max_points == max_points


def test_what_a_killed_import_left_is_made_anew(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert command(openpcdet(20), "--encoder", "hard")[0] == 0
    whole = {path.name for path in run.rglob("*")}
    checkpoint = run / "checkpoints/step_00000000.pt"
    weights = checkpoint.read_bytes()
    for name in (".unfinished", ".lock", ".config.yaml.0123abcd.part", "checkpoints/.step_00000000.pt.0123abcd.part"):
        (run / name).touch()
    checkpoint.unlink()
    (run / "config.yaml").write_text("train: {}")
    assert command(openpcdet(20), "--encoder", "hard")[0] == 0
    assert {path.name for path in run.rglob("*")} == whole
    assert checkpoint.read_bytes() == weights
    assert load_config(run / "config.yaml").model.encoder == "hard"


@pytest.mark.parametrize("theirs", ["log.jsonl", "checkpoints/step_00000100.pt", "notes.txt", "checkpoints/a.part"])
def test_what_is_not_an_imports_stays(command: Command, tmp_path: Path, theirs: str) -> None:
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    for name in (".unfinished", theirs):
        (tmp_path / "run" / name).touch()
    code, printed = command(openpcdet(20), "--encoder", "hard")
    assert code == 2
    assert "already there; choose another --output" in printed
    assert (tmp_path / "run" / theirs).exists()


def test_an_import_that_fails_leaves_nothing(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise UserError("no room")

    monkeypatch.setattr("pcdet_poly.engine.checkpoint.save_checkpoint", fail)
    assert command(openpcdet(20), "--encoder", "hard")[0] == 2
    assert not (tmp_path / "run").exists()
