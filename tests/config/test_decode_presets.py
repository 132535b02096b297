"""Presets of decoding: what they fill in, what wins over them, and where they do not fit."""

from pathlib import Path

import pytest

from pcdet_poly.config.load import dump_config, load_config
from pcdet_poly.config.sections.output import DECODE_PRESETS, DecodeConfig
from pcdet_poly.errors import UserError


def write(folder: Path, text: str, name: str = "run.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_preset_fills_in_what_is_not_given() -> None:
    cfg = DecodeConfig(preset="openpcdet_center", score=0.2)
    assert (cfg.peaks, cfg.candidates, cfg.nms, cfg.score_rule) == ("none", "all_classes", "class_agnostic", "above")
    assert cfg.score == 0.2
    assert DecodeConfig() == DecodeConfig(preset="ours")


@pytest.mark.parametrize("preset", DECODE_PRESETS)
def test_a_dumped_preset_is_read_back_and_gives_way_to_another(tmp_path: Path, preset: str) -> None:
    model = "{kind: pointpillars}" if preset == "openpcdet_anchor" else "{iou_branch: true}"
    first = load_config(write(tmp_path, f"model: {model}\ndecode: {{preset: {preset}, max_detections: 77}}"))
    dumped = write(tmp_path, dump_config(first), "dumped.yaml")
    assert load_config(dumped) == first
    assert load_config(dumped, [f"decode.preset={preset}"]).decode.max_detections == 77
    other = "openpcdet_anchor" if preset == "ours" else "ours"
    assert load_config(dumped, [f"decode.preset={other}"]).decode == DecodeConfig(preset=other)  # type: ignore[arg-type]


def test_a_first_preset_replaces_the_settings_of_a_base_without_one(tmp_path: Path) -> None:
    write(tmp_path, "decode: {nms_iou: 0.2, score: 0.05}", "base.yaml")
    path = write(tmp_path, "base: base.yaml\ndecode: {preset: centerpoint_repo, score: 0.3}")
    decode = load_config(path).decode
    assert (decode.nms_iou, decode.score) == (0.7, 0.3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{preset: openpcdet}", "decode.preset"),
        (
            "{preset: openpcdet_center, nms: per_class, nms_iou: [0.7, 0.5]}",
            r"decode\.nms_iou: 2 numbers for 3 classes",
        ),
        ("{peaks: [none, 3x3]}", r"decode\.peaks: 2 numbers for 3 classes"),
        ("{preset: openpcdet_center_iou}", r"decode\.iou_weight: needs model\.iou_branch: true"),
        ("{centre_limits: [1, 0, 0, 0, 0, 0]}", "smallest x, y, z come first"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_config(write(tmp_path, f"decode: {text}"))


@pytest.mark.parametrize("setting", ["peaks=none", "candidates=best_class", "top_k=null", "preset=openpcdet_center"])
def test_anchors_have_no_cells(tmp_path: Path, setting: str) -> None:
    path = write(tmp_path, "model: {kind: pointpillars}")
    with pytest.raises(UserError, match="pointpillars"):
        load_config(path, [f"decode.{setting}"])
