"""Configs that were written to do harm: one line, at once, whatever is in them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pcdet_poly.config.load import load_config
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.sweep.schema import read_sweep

_BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
_MAPS = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{p: *a{i - 1}, q: *a{i - 1}}}\n" for i in range(1, 40))
HOSTILE = {
    "lists of aliases": _BOMB,
    "mappings of aliases": _MAPS,
    "alias of itself": "train: &a [*a]\n",
    "mapping in itself": "train: &a {epochs: *a}\n",
    "deep list": "train: " + "[" * 100_000,
    "deep closed list": "train: " + "[" * 60 + "]" * 60,
    "deep mapping": "train: " + "{a: " * 60 + "1" + "}" * 60,
    "python object": "train: !!python/object/apply:os.system ['true']\n",
    "unknown tag": "train: !thing {a: 1}\n",
    "huge integer": f"train: {{epochs: {'9' * 10_000}}}\n",
    "huge exponent": "train: {epochs: 1.0e+999999}\n",
    "wrong integer tag": "train: {epochs: !!int abc}\n",
    "wrong binary": "train: {epochs: !!binary '***'}\n",
    "no such day": "train: {epochs: 2020-13-45}\n",
    "NUL": "train:\0 1\n",
    "binary": "\x01\x02\x03",
    "list as key": "? [a, b]\n: 1\n",
    "mapping as key": "train: {? {a: b} : 1}\n",
    "list as key within a list": "data: {train: [{? [a] : 1}]}\n",
    "twice": "train: {epochs: 1}\ntrain: {epochs: 2}\n",
    "two documents": "train: {epochs: 1}\n---\ntrain: {epochs: 2}\n",
    "no alias": "train: *nothing\n",
    "large": "# " + "x" * (2 << 20),
    "a list": "[1, 2]",
    "a number": "1",
    "tabs": "train:\n\tepochs: 1\n",
    "merge of a number": "train: {<<: 3}\n",
    "infinite epochs": "train: {epochs: .inf}\n",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("read", [load_config, read_sweep])
def test_one_line_names_the_file(name: str, read: object, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(HOSTILE[name])
    start = time.process_time()
    with pytest.raises(UserError) as error:
        read(path)  # type: ignore[operator]
    assert time.process_time() - start < 20  # an expansion would take years; the deep list takes a second
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"a\.yaml: not YAML"):
        load_config(tmp_path / "a.yaml")


@pytest.mark.parametrize("value", ["&a [*a]", "[" * 5000, "9" * 10_000, "!!python/name:os.system", "2020-13-45", "\0"])
def test_hostile_overrides(value: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("train: {epochs: 1}\n")
    with pytest.raises(UserError, match=r"the value is not YAML"):
        load_config(tmp_path / "a.yaml", [f"train.epochs={value}"])


@pytest.mark.parametrize(
    "grid",
    [
        "{upper: [.inf, 74.88, 4.0]}",
        "{upper: [.nan, 74.88, 4.0]}",
        "{lower: [-1.0e+308, -74.88, -2.0], upper: [1.0e+308, 74.88, 4.0]}",
        "{cell: [1.0e-300, 0.32, 6.0]}",
        "{cell: [0.0002, 0.0002, 6.0]}",
    ],
)
def test_grids_that_no_memory_holds(grid: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"data: {{grid: {grid}}}\n")
    with pytest.raises(UserError, match=r"a\.yaml:1: data\.grid"):
        load_config(tmp_path / "a.yaml")


def test_aliases_that_people_write_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data: {train: &stores [a, b], val: *stores}\n")
    assert load_config(tmp_path / "a.yaml").data.val == ("a", "b")
