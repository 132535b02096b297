"""Kinds of a user's package: found only after consent, checked like ours, and mistakes in them told in one line."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pcdet_poly.config import plugins
from pcdet_poly.config.explain import explain
from pcdet_poly.config.kind_tables import DETECTORS, LOSSES
from pcdet_poly.config.load import build_config, build_json_schema, dump_config, load_config, read_settings
from pcdet_poly.config.plugins import admit_plugin, list_plugin_words
from pcdet_poly.config.schema import Config
from pcdet_poly.errors import UserError

MODULE = '''
from pcdet_poly.config.kinds import DetectorKind, LossKind
from pcdet_poly.config.sections.cell_loss import CellLossConfig
from pcdet_poly.config.sections.detector import DetectorSection
from pcdet_poly.config.sections.centerpoint import CenterPointPillarConfig
from pcdet_poly.config.sections.section import Count, Section

class Mine(DetectorSection):
    """Mine."""
    width: Count = 8
    """Channels of my network."""

    def explain_misfit(self, grid, classes):
        return "data.classes: mine detects one class" if len(classes) > 1 else None

class MyLossConfig(CellLossConfig):
    """My loss."""
    power: Count = 2
    """Exponent of the distance."""

class Weightless(Section):
    """No loss."""

MyDetector = DetectorKind(Mine, "nowhere:build")
SameSettings = DetectorKind(CenterPointPillarConfig, "nowhere:build")
NoSection = DetectorKind(Weightless, "nowhere:build")
MyLoss = LossKind(MyLossConfig, "nowhere:loss")
YesOrNo = LossKind(MyLossConfig, "nowhere:loss", targets="sigmoid")
NoLoss = LossKind(Weightless, "nowhere:loss")
def function(): ...
'''
ONE_CLASS = ["data.classes=[VEHICLE]"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path of imports with the package `my_parts`; nothing is admitted yet."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_ADMITTED", [])
    (tmp_path / "my_parts").mkdir()
    (tmp_path / "my_parts" / "__init__.py").write_text("")
    (tmp_path / "my_parts" / "parts.py").write_text(MODULE)
    (tmp_path / "empty.yaml").write_text("{}\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("my_parts", "broken")]:
        del sys.modules[name]


def load(folder: Path, *overrides: str) -> Config:
    """The default config with overrides."""
    return load_config(folder / "empty.yaml", [*ONE_CLASS, *overrides])


def test_a_config_alone_imports_nothing(folder: Path) -> None:
    expected = (
        r"command line: model\.kind = 'my_parts\.parts:MyDetector': not one of ours, and a config alone makes no code "
        r"run: add --plugin my_parts\.parts to the command if you trust that module$"
    )
    with pytest.raises(UserError, match=expected):
        load(folder, "model.kind=my_parts.parts:MyDetector")
    assert "my_parts" not in sys.modules


@pytest.mark.parametrize("admitted", ["my_parts", "my_parts.parts"])
def test_an_admitted_module_brings_its_kinds(folder: Path, admitted: str) -> None:
    admit_plugin(admitted)
    config = load(folder, "model.kind=my_parts.parts:MyDetector", "model.width=12", "classification.epsilon=1")
    assert (config.model.kind, config.model.width) == ("my_parts.parts:MyDetector", 12)
    assert list_plugin_words() == ["--plugin", admitted]


def test_a_module_beside_an_admitted_one_is_not_admitted(folder: Path) -> None:
    (folder / "my_parts_too.py").write_text(MODULE)
    admit_plugin("my_parts")
    with pytest.raises(UserError, match="add --plugin my_parts_too"):
        load(folder, "model.kind=my_parts_too:MyDetector")


def test_a_config_with_own_kinds_is_written_explained_and_pickled_like_any_other(folder: Path) -> None:
    admit_plugin("my_parts.parts")
    words = ["model.kind=my_parts.parts:MyDetector", "classification.kind=my_parts.parts:MyLoss"]
    config = load(folder, *words, "classification.power=3")
    (folder / "dumped.yaml").write_text(dump_config(config))
    assert load_config(folder / "dumped.yaml") == config
    assert pickle.loads(pickle.dumps(config)) == config
    settings = read_settings(folder / "dumped.yaml", ["model.width=9"])
    lines = explain(build_config(settings), settings).splitlines()
    assert any(line.startswith("model.width = 9") and line.endswith("Channels of my network.") for line in lines)


def test_the_schema_knows_the_kinds_of_admitted_modules(folder: Path) -> None:
    ours = json.loads(build_json_schema())["properties"]["model"]["discriminator"]["mapping"]
    assert list(ours) == ["centerpoint_pillar", "centerpoint_voxel", "pointpillars", "rsn"]
    admit_plugin("my_parts.parts")
    mapping = json.loads(build_json_schema())["properties"]["model"]["discriminator"]["mapping"]
    assert set(mapping) - set(ours) == {"my_parts.parts:MyDetector", "my_parts.parts:SameSettings"}


def test_settings_of_ours_serve_another_detector(folder: Path) -> None:
    admit_plugin("my_parts.parts")
    config = load(folder, "model.kind=my_parts.parts:SameSettings", "model.head_width=8")
    assert config.model.kind == "my_parts.parts:SameSettings"
    assert isinstance(config.model, DETECTORS.ours["centerpoint_pillar"].settings)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model.kind=pointpilars"], r"model\.kind = 'pointpilars': no such detector; did you mean 'pointpillars'\?$"),
        (["model.kind=zzz"], r"model\.kind = 'zzz': no such detector; there are 'centerpoint_pillar', .*--plugin"),
        (["model.kind=3"], r"model\.kind = 3: the name of a detector is needed$"),
        (["classification.kind=heatmop"], r"classification\.kind = 'heatmop': no such loss; did you mean 'heatmap'\?$"),
        (["model.kind=my_parts.parts:MyDetectr"], r"my_parts\.parts has no 'MyDetectr'; did you mean 'MyDetector'\?$"),
        (["model.kind=my_parts.nowhere:A"], r"my_parts\.nowhere: no such module; install its package, or put"),
        (["model.kind='my_parts:'"], r"'my_parts:' is no name of the form module:object"),
        (["model.kind=my_parts.parts:function"], r"is a function, where a pcdet_poly\.config\.kinds\.DetectorKind"),
        (["model.kind=my_parts.parts:Mine"], r"is a class, where a pcdet_poly\.config\.kinds\.DetectorKind"),
        (["model.kind=my_parts.parts:MyLoss"], r"is a LossKind, where a pcdet_poly\.config\.kinds\.DetectorKind"),
        (["model.kind=my_parts.parts:NoSection"], r"its settings, Weightless, are no subclass of .*DetectorSection$"),
        (["classification.kind=my_parts.parts:NoLoss"], r"its settings, Weightless, are no subclass of .*LossSection$"),
        (
            ["model.kind=my_parts.parts:MyDetector", "model.widht=3"],
            r"command line: model\.widht: no such setting; did you mean 'width'\?$",
        ),
        (["model.kind=my_parts.parts:MyDetector", "model.width=0"], r"model\.width = 0: .*greater than or equal to 1$"),
        (
            ["model.kind=my_parts.parts:MyDetector", "data.classes=[VEHICLE,CYCLIST]"],
            r"data\.classes: mine detects one class$",
        ),
        (
            ["classification.kind=my_parts.parts:YesOrNo"],
            r"classification\.kind = 'my_parts\.parts:YesOrNo': centerpoint_pillar has the loss 'heatmap'",
        ),
    ],
)
def test_mistakes_with_kinds_get_one_line(folder: Path, overrides: list[str], expected: str) -> None:
    admit_plugin("my_parts")
    with pytest.raises(UserError, match=expected) as error:
        load(folder, *overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, r"^--plugin broken: no such module; install its package, or put the folder that holds it on "),
        ("import nowhere_else", r"^--plugin broken: importing it failed: ModuleNotFoundError: .*broken\.py:1\)$"),
        ("\n1 / 0", r"^--plugin broken: importing it failed: ZeroDivisionError: division by zero \(.*broken\.py:2\)$"),
        ("def", r"^--plugin broken: importing it failed: SyntaxError: invalid syntax \(.*broken\.py:1\)$"),
        ("import sys\nsys.exit('a\\nb')", r"^--plugin broken: importing it failed: SystemExit: a b"),
    ],
)
def test_a_module_that_cannot_be_imported_gets_one_line(folder: Path, source: str | None, expected: str) -> None:
    if source is not None:
        (folder / "broken.py").write_text(source)
    with pytest.raises(UserError, match=expected) as error:
        admit_plugin("broken")
    assert "\n" not in str(error.value)
    assert list_plugin_words() == []


def register(folder: Path, package: str, **detectors: str) -> None:
    """Install a package's metadata that registers detectors."""
    metadata = folder / f"{package}-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    lines = [f"{name} = {value}" for name, value in detectors.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[pcdet_poly.detectors]", *lines]) + "\n")
    plugins._read_entry_points.cache_clear()


def test_an_installed_package_brings_its_kinds_by_name(folder: Path) -> None:
    register(folder, "my-package", mine="my_parts.parts:MyDetector")
    assert load(folder, "train.seed=1").model.kind == "centerpoint_pillar"
    assert "my_parts" not in sys.modules  # not before a config names it
    assert load(folder, "model.kind=mine", "model.width=5").model.width == 5
    with pytest.raises(UserError, match=r"model\.kind = 'min': no such detector; did you mean 'mine'\?"):
        load(folder, "model.kind=min")


@pytest.mark.parametrize("name", ["rsn", "mine"])
def test_a_name_that_two_packages_claim_is_refused(folder: Path, name: str) -> None:
    register(folder, "my-package", **{name: "my_parts.parts:MyDetector"})
    register(folder, "other-package", **{name: "my_parts.parts:MyDetector"})
    with pytest.raises(UserError, match=r"the package my-package and the package other-package each have a detector"):
        load(folder, f"model.kind={name}")


def test_an_entry_point_that_leads_nowhere_gets_one_line(folder: Path) -> None:
    register(folder, "my-package", mine="my_parts.parts:Zzz")
    with pytest.raises(UserError, match=r"model\.kind = 'mine': my_parts\.parts has no 'Zzz'$"):
        load(folder, "model.kind=mine")


def test_every_kind_of_ours_names_a_function_that_exists() -> None:
    names = [kind.build for kind in DETECTORS.ours.values()] + [kind.loss for kind in LOSSES.ours.values()]
    assert all(callable(plugins.find_object(name)) for name in names)
