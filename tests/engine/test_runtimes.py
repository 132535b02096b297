"""Libraries that run a network for inference: the same boxes, the fastest chosen, said and kept."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from pcdet_poly.commands.detectors.detect import RUNTIMES
from pcdet_poly.commands.main import main
from pcdet_poly.engine import runtimes
from pcdet_poly.engine.checkpoint import Checkpoint, config_values, save_checkpoint
from pcdet_poly.engine.detector import Detector
from pcdet_poly.engine.run import start_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.errors import UserError
from pcdet_poly.models.export.dense_part import list_map_fields, make_image
from pcdet_poly.models.export.sessions import open_in_onnxruntime
from pcdet_poly.structures import Detections
from tests.tiny import frame

SCORE = 1e-4  # of a probability: float32 rounds logits of some ten layers, folded or not, by 1e-5 or less
METRES = 1e-3


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the weights of its seed."""
    config = tiny()
    run = start_run(tmp_path_factory.mktemp("runtimes") / "run", config, torch.device("cpu"), resume=False)
    weights = build_seeded_recipe(config, torch.device("cpu")).model.state_dict()
    save_checkpoint(run.checkpoint_path(1), Checkpoint(1, 1, config_values(config), weights, {}, {}))
    return run.folder


def detect(folder: Path, runtime: runtimes.Runtime) -> Detections:
    return Detector.load(folder, device="cpu", runtime=runtime)(frame(0).points[:, :5])


def assert_alike(found: Detections, wanted: Detections) -> None:
    """Every box has a partner of its class."""
    apart = np.abs(found.box[:, None, :6] - wanted.box[None, :, :6]).max(axis=2)
    near = (apart <= METRES) & (np.abs(found.score[:, None] - wanted.score) <= SCORE)
    near &= found.label[:, None] == wanted.label
    assert len(wanted) > 10
    assert near.any(axis=0).all()
    assert near.any(axis=1).all()


@pytest.mark.parametrize("library", ["onnxruntime", "openvino"])
def test_other_libraries_find_the_same_boxes(folder: Path, library: runtimes.Runtime) -> None:
    pytest.importorskip("onnxscript")
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    wanted = detect(folder, "torch")
    assert_alike(detect(folder, library), wanted)
    (file,) = (folder / "checkpoints").glob("*.onnx")
    before = file.stat().st_mtime_ns
    assert_alike(detect(folder, library), wanted)
    assert file.stat().st_mtime_ns == before  # not written again
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    assert_alike(detect(folder, library), wanted)  # made again
    assert file.read_bytes() != damaged


def test_eight_bits_keep_the_maps(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Within a tenth of a map's spread.

    A layer's rounding is uniform in a step of 1/255 of a range that is some six standard deviations: .7 % of these,
    weights about as much; a dozen layers have some 4 % in all, and ranges may be twice as wide.
    """
    pytest.importorskip("onnxscript")
    with pytest.raises(UserError, match=r"network_int8\.onnx: no such file; write it by"):
        detect(folder, "int8")
    assert main(["export", str(folder), "--onnx", "--int8", "--calibration-frames", "2"]) == 0
    assert "8-bit integers" in capsys.readouterr().out
    assert not caplog.records  # onnxruntime's advice, which we follow already
    model = Detector.load(folder, device="cpu").model
    image = make_image(model, torch.from_numpy(frame(0).points[:, : model.point_channels]))
    found = open_in_onnxruntime(folder / runtimes.INT8_NAME, 1)(image.numpy())
    with torch.no_grad():
        maps = model.head(model.backbone(image))
    for name, ours in zip(list_map_fields(maps), found, strict=True):
        wanted = getattr(maps, name).numpy()
        assert 0 < (ours - wanted).std() < 0.1 * wanted.std(), name
    assert len(detect(folder, "int8")) > 10
    file = folder / runtimes.INT8_NAME
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"network_int8\.onnx: damaged or cut"):
        detect(folder, "int8")
    file.unlink()


@pytest.mark.parametrize(("slow", "chosen"), [("bf16", "float32"), ("float32", "bf16")])
def test_the_fastest_is_chosen_said_and_kept(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    slow: str,
    chosen: str,
) -> None:
    """As on processors that are slow in bfloat16, and on others: a clock of our own says so."""
    now_s = [0.0]

    def build_pass(network: runtimes.Network) -> Callable[[], None]:
        kind = "bf16" if network.mixed_precision else "float32"

        def infer() -> None:
            now_s[0] += 2.0 if kind == slow else 1.0

        return infer

    monkeypatch.setattr(runtimes, "_is_here", lambda kind: kind in ("float32", "bf16"))
    monkeypatch.setattr(runtimes, "_build_pass", build_pass)
    choose = runtimes.choose_fastest
    monkeypatch.setattr(runtimes, "choose_fastest", lambda passes: choose(passes, clock=lambda: now_s[0]))
    monkeypatch.setattr(runtimes, "name_processor", lambda: f"slow in {slow}")
    detect(folder, "auto")
    said = capsys.readouterr().err
    assert f"--runtime auto: {chosen} (from points to maps: " in said
    assert f"{chosen} 1000 ms" in said
    assert f"{slow} 2000 ms" in said
    monkeypatch.setattr(runtimes, "choose_fastest", None)  # nothing is measured again
    detect(folder, "auto")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(runtimes, "choose_fastest", lambda passes: choose(passes, clock=lambda: now_s[0]))
    with monkeypatch.context() as another:
        another.setattr(torch, "__version__", "0.0.1")  # which may be as fast as it likes
        detect(folder, "auto")
        assert f"--runtime auto: {chosen}" in capsys.readouterr().err
    (choices,) = (folder / "checkpoints").glob("*.json")
    choices.write_text("{")
    detect(folder, "auto")
    assert f"--runtime auto: {chosen}" in capsys.readouterr().err


def test_a_real_pass_is_measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runtimes, "_is_here", lambda kind: kind in ("float32", "bf16"))
    monkeypatch.setattr(runtimes, "name_processor", lambda: "this one")
    detect(folder, "auto")
    assert capsys.readouterr().err.startswith("--runtime auto: ")


def test_what_cannot_run_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcdet_poly.models.export.libraries.import_onnxruntime", _raise_missing)
    with pytest.raises(UserError, match="is not installed; pip install onnx"):
        detect(folder, "onnxruntime")
    with pytest.raises(UserError, match="--runtime openvino: cannot run Linear; use torch or auto"):
        runtimes.open_network(
            torch.nn.Linear(1, 1),
            "openvino",
            checkpoint=folder / "a.pt",
            mixed_precision=False,
            device=torch.device("cpu"),
            fused=torch.nn.Linear(1, 1),
        )


def _raise_missing() -> None:
    raise UserError("onnxruntime is not installed; pip install onnxruntime")


def test_the_commands_choices() -> None:
    assert RUNTIMES == runtimes.RUNTIMES  # those of the help
