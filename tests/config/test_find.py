"""Configs by name: a path wins, `base:` reaches ours from anywhere, copies read the same anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcdet_poly.commands.main import main
from pcdet_poly.config.copy import copy_config
from pcdet_poly.config.find import find_config, list_configs, name_config
from pcdet_poly.config.load import load_config
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.sweep.schema import list_trials, read_sweep

CONFIGS = Path(__file__).resolve().parent.parent.parent / "configs"
NAMES = sorted(path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.rglob("*.yaml"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_config_is_listed_and_found_by_its_name() -> None:
    assert list_configs() == NAMES
    for name in NAMES:
        assert find_config(name) == find_config(f"configs/{name}.yaml")
        assert name_config(find_config(name)) == name
    assert load_config("poly/centerpoint_pillar_eps1").classification.epsilon == 1


def test_a_file_wins_over_a_name_but_a_folder_does_not(elsewhere: Path) -> None:
    (elsewhere / "quick").mkdir()
    assert find_config("quick").parent != elsewhere
    (elsewhere / "slim").write_text("train: {epochs: 77}\n")
    assert load_config("slim").train.epochs == 77


@pytest.mark.parametrize("name", ["../quick", "nowhere/quick.yaml", "poly/../quick", "/quick", "sweeps"])
def test_a_path_that_does_not_exist_is_no_name(name: str) -> None:
    with pytest.raises(UserError, match=f"^{name}: no such config file"):
        find_config(name)


@pytest.mark.parametrize(("written", "nearest"), [("quik", "quick"), ("poly/centerpoint_pillar_eps2", "_eps1")])
def test_an_unknown_name_gets_the_nearest(written: str, nearest: str, elsewhere: Path) -> None:
    with pytest.raises(UserError, match=rf"no such config file; did you mean '\S*{nearest}'\?$"):
        find_config(written)
    own = elsewhere / "own.yaml"
    own.write_text(f"base: {written}\n")
    with pytest.raises(UserError, match="no such config file"):
        load_config(own)


@pytest.mark.parametrize("base", ["quick", "quick.yaml", "configs/quick.yaml"])
def test_a_base_may_be_one_of_ours(base: str, elsewhere: Path) -> None:
    own = elsewhere / "deep/own.yaml"
    own.parent.mkdir()
    own.write_text(f"base: {base}\ntrain: {{epochs: 77}}\n")
    config = load_config(own)
    assert config.train.epochs == 77
    assert config.grid == load_config("quick").grid
    (own.parent / base).parent.mkdir(exist_ok=True)
    (own.parent / base).write_text("train: {seed: 78}\n")  # the user's own file beside it wins
    assert load_config(own).train.seed == 78


def test_copies_read_the_same_in_another_folder(elsewhere: Path) -> None:
    for name in NAMES:
        copy = copy_config(name, elsewhere / f"{name.replace('/', '_')}_copy.yaml")
        if name.startswith("sweeps/"):
            ours, theirs = read_sweep(copy), read_sweep(find_config(name))
            assert (ours.seeds, ours.questions) == (theirs.seeds, theirs.questions)
            assert list_trials(ours.keep_first_seeds(1), copy.parent) == list_trials(
                theirs.keep_first_seeds(1), find_config(name).parent
            )
        else:
            assert load_config(copy) == load_config(name)


def test_the_command_copies_and_never_overwrites(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "copy", "poly/centerpoint_pillar_eps1"]) == 0
    assert capsys.readouterr().out == "centerpoint_pillar_eps1.yaml\n"
    assert "base: centerpoint_pillar\n" in (elsewhere / "centerpoint_pillar_eps1.yaml").read_text()
    assert main(["config", "copy", "poly/centerpoint_pillar_eps1"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["config", "copy", "quick", "a.yaml", "b.yaml"]) == 2
    assert main(["config", "copy"]) == 2
