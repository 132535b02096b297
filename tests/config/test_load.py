"""Reading settings: precedence, origins, and errors that teach."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pcdet_poly.config.error_text import list_keys
from pcdet_poly.config.explain import explain
from pcdet_poly.config.load import build_config, build_json_schema, dump_config, load_config, read_settings
from pcdet_poly.config.schema import Config
from pcdet_poly.errors import UserError

ROOT = Path(__file__).resolve().parent.parent.parent


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_later_values_win_base_then_file_then_overrides(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", "train: {epochs: 7, batch_size: 3, seed: 1}\n")
    write(tmp_path, "middle.yaml", "base: base.yaml\ntrain: {batch_size: 5}\n")
    path = write(tmp_path, "deep/own.yaml", "base: ../middle.yaml\ntrain:\n  seed: 9\n")
    config = load_config(path, ["train.seed=4", "train.seed=11"])
    assert (config.train.epochs, config.train.batch_size, config.train.seed) == (7, 5, 11)


def test_lists_are_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", "data: {train: [a, b]}\n")
    path = write(tmp_path, "own.yaml", "base: base.yaml\ndata: {train: [c]}\n")
    assert load_config(path).data.train == ("c",)


@pytest.mark.parametrize("written", ["1e-3", "0.001", "1.0e-3", "'1e-3'"])
def test_numbers_may_be_written_without_a_dot(tmp_path: Path, written: str) -> None:
    path = write(tmp_path, "c.yaml", f"train: {{learning_rate: {written}}}\n")
    assert load_config(path).train.learning_rate == 0.001


def test_a_dumped_config_reads_back_equal(tmp_path: Path) -> None:
    config = load_config(ROOT / "configs/centerpoint_pillar.yaml", ["classification.epsilon=-0.4"])
    assert load_config(write(tmp_path, "dump.yaml", dump_config(config))) == config


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        (
            "classification:\n  epsilom: 1\n",
            [],
            r"c\.yaml:2: classification\.epsilom: no such setting; did you mean 'epsilon'\?$",
        ),
        ("", ["batch_size=3"], r"command line: batch_size: no such setting; did you mean 'train\.batch_size'\?$"),
        (
            "model: {head_widht: 3}\n",
            [],
            r"c\.yaml:1: model\.head_widht: no such setting; did you mean 'head_width'\?$",
        ),
        (
            "model: {backbone: {stride: [1]}}\n",
            [],
            r"model\.backbone\.stride: no such setting; did you mean 'strides'\?$",
        ),
        ("", ["train.batch_size=0"], r"command line: train\.batch_size = 0: .*greater than or equal to 1$"),
        ("", ["classification.epsilon=abc"], r"classification\.epsilon = 'abc'"),
        ("", ["data.returns=1"], r"data\.returns = 1: a list is needed, such as \[1\]$"),
        ("grid: {cell: [0.3, 0.3, 6]}\n", [], r"c\.yaml:1: grid: x: .* is not a whole number of cells of 0\.3 m$"),
        ("grid: {lower: [0, 0, 0], upper: [-1, 1, 1]}\n", [], r"upper x = -1\.0 must be greater than lower x = 0\.0"),
        ("train: {epochs: 1}\ntrain: {seed: 1}\n", [], r"c\.yaml:2: train: written twice"),
        ("train: [1]\n", [], r"c\.yaml:1: train = "),
        ("- 1\n", [], r"c\.yaml: a config is a mapping"),
        ("train: {epochs: [1\n", [], r"c\.yaml:\d+: not YAML"),
        ("", ["train"], r"'train': an override is written section\.key=value"),
        ("", ["train.seed=[1"], r"the value is not YAML"),
        ("base: 3\n", [], r"base: 3 is not a path"),
        ("base: nowhere.yaml\n", [], r"nowhere\.yaml: no such config file"),
        ("base: c.yaml\n", [], r"leads back to itself"),
        ("decode: {nms_iou: [0.7, 0.6]}\n", [], r"decode\.nms_iou: 2 numbers for 3 classes"),
    ],
)
def test_mistakes_get_one_line_that_names_place_and_remedy(
    tmp_path: Path, text: str, overrides: list[str], expected: str
) -> None:
    path = write(tmp_path, "c.yaml", text)
    with pytest.raises(UserError, match=expected) as error:
        load_config(path, overrides)
    assert "\n" not in str(error.value)


def test_a_section_of_another_kind_starts_afresh(tmp_path: Path) -> None:
    # Settings of the base's kind must not leak into another kind's section.
    write(tmp_path, "base.yaml", "model: {kind: other, only_there: 3}\n")
    path = write(tmp_path, "own.yaml", "base: base.yaml\nmodel: {kind: centerpoint_pillar, head_width: 8}\n")
    settings = read_settings(path)
    assert settings.values["model"] == {"kind": "centerpoint_pillar", "head_width": 8}
    assert ("model", "only_there") not in settings.origins


def test_explain_names_every_setting_and_its_origin(tmp_path: Path) -> None:
    path = write(tmp_path, "c.yaml", "train:\n  epochs: 3\n")
    settings = read_settings(path, ["train.seed=5"])
    lines = explain(build_config(settings), settings).splitlines()
    assert any(line.startswith("train.epochs = 3") and "c.yaml:2" in line for line in lines)
    assert any(line.startswith("train.seed = 5") and "command line" in line for line in lines)
    assert any(line.startswith("decode.score = ") and " default " in line for line in lines)
    assert len(lines) > 40


def test_every_setting_has_a_description() -> None:
    def missing(section: type, prefix: str = "") -> list[str]:
        return [f"{prefix}{name}" for name, field in section.model_fields.items() if not field.description]

    sections = [field.annotation for field in Config.model_fields.values()]
    assert [name for s in sections if hasattr(s, "model_fields") for name in missing(s, f"{s.__name__}.")] == []


def test_the_schema_names_every_section_and_forbids_others() -> None:
    schema = json.loads(build_json_schema())
    assert {key[0] for key in list_keys()} | {"base"} == set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_the_schema_command_prints_json() -> None:
    command = [sys.executable, "-m", "pcdet_poly.config", "schema"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["title"] == "Config"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_config_file_loads(path: Path) -> None:
    if "sweeps" in path.parts:
        pytest.skip("a sweep file lists configs; it is not one")
    load_config(path)
    assert yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("written", "names"), [("a", ("a",)), ("x/a,y/b", ("x/a", "y/b")), ("[x/a, y/b]", ("x/a", "y/b"))]
)
def test_names_need_no_brackets(written: str, names: tuple[str, ...]) -> None:
    assert load_config(ROOT / "configs/quick.yaml", [f"data.train={written}"]).data.train == names


# A file, overrides, where the mistake was made ("3" is a line of the file), and the text. Each mistake spans sections.
SPANNING = [
    ("model: {kind: pointpillars}\nregression: {weight_iou: 2.0}", [], "4", "regression: pointpillars has its own"),
    ("regression: {weight_iou: 2.0}", ["model.kind=pointpillars"], "command line", "regression: pointpillars has its"),
    ("model: {kind: rsn}", [], "3", "data.classes: rsn detects one class"),
    ("data: {classes: [VEHICLE]}\nmodel: {kind: rsn}\npaste: {bank: x}", [], "5", "paste.objects: 3 numbers for 1"),
    (
        "decode: {nms_iou: [0.1, 0.2, 0.3]}",
        ["data.classes=[VEHICLE]"],
        "command line",
        "decode.nms_iou: 3 numbers for 1",
    ),
    ("decode: {nms_iou: [0.1, 0.2]}", [], "3", "decode.nms_iou: 2 numbers for 3 classes"),
    ("decode: {iou_weight: 0.5}", [], "3", "decode.iou_weight: needs model.iou_branch: true"),
    ("decode: {iou_weight: 0.5}", ["model.iou_branch=false"], "command line", "decode.iou_weight: needs model.iou"),
    ("model: {kind: pointpillars}\nevaluation: {test_time_flips: x}", [], "4", "evaluation.test_time_flips: the maps"),
    (
        "evaluation: {test_time_flips: x}",
        ["model.kind=pointpillars"],
        "command line",
        "evaluation.test_time_flips: the",
    ),
    ("data: {classes: [CAR]}", [], "3", "data.classes: CAR is none of"),
    (
        "evaluation: {metrics: {iou_thresholds: {CAR: 0.7}}}",
        ["data.classes=[TRUCK]"],
        "command line",
        "data.classes: TR",
    ),
    ("model: {kind: pointpillars, anchors: []}", [], "3", "model.anchors: none for VEHICLE of data.classes"),
    ("train: {epochs: 3}\nmodel: {kind: pointpillars}\ndecode: {peaks: none}", [], "5", "decode.peaks = 'none': point"),
]


@pytest.mark.parametrize(("text", "overrides", "origin", "says"), SPANNING)
def test_a_mistake_of_several_sections_names_where_it_was_made(
    text: str, overrides: list[str], origin: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("\n\n" + text)
    with pytest.raises(UserError) as caught:
        load_config(file, overrides)
    place = origin if origin == "command line" else f"{file}:{origin}"
    assert str(caught.value).startswith(f"{place}: {says}")
