"""Checkpoints: what is in them, and what is said of one that does not fit."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pcdet_poly.config.schema import Config
from pcdet_poly.engine.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    config_hash,
    config_values,
    find_changed_meaning,
    find_first_difference,
    load_checkpoint,
    load_model,
    save_checkpoint,
)
from pcdet_poly.engine.checkpoint_damage import compute_checksum
from pcdet_poly.errors import UserError


def network(width: int = 4, *, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(width)
    return nn.Sequential(nn.Linear(3, width, bias=bias), nn.BatchNorm1d(width))


def config(**model: int) -> Config:
    return Config.model_validate({"model": model})


def checkpoint_of(model: nn.Module, cfg: Config) -> Checkpoint:
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    window = {"names": ["loss"], "steps": [7], "frame_ids": [["a"]], "values": [torch.ones(1)]}
    return Checkpoint(7, 3, config_values(cfg), model.state_dict(), optimizer.state_dict(), window, score=0.5)


def test_a_checkpoint_reads_back_equal_and_holds_only_plain_types(tmp_path: Path) -> None:
    before = checkpoint_of(network(), config())
    save_checkpoint(tmp_path / "c.pt", before)
    after = load_checkpoint(tmp_path / "c.pt")
    assert (after.step, after.steps_per_epoch, after.score) == (7, 3, 0.5)
    assert after.config == config_values(config())
    for name, tensor in before.model.items():
        assert torch.equal(after.model[name], tensor)
    assert after.optimizer["param_groups"] == before.optimizer["param_groups"]
    for index, state in before.optimizer["state"].items():
        assert all(torch.equal(after.optimizer["state"][index][name], tensor) for name, tensor in state.items())
    content = torch.load(tmp_path / "c.pt", weights_only=True)
    assert content["config_hash"] == config_hash(config_values(config()))
    assert content["signature"]["0.weight"] == [4, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_the_hash_tells_configs_apart() -> None:
    assert config_hash(config_values(config())) == config_hash(config_values(Config()))
    assert config_hash(config_values(config(head_width=8))) != config_hash(config_values(Config()))


def test_loading_copies_the_weights(tmp_path: Path) -> None:
    trained, other = network(), network()
    checkpoint = checkpoint_of(trained, config())
    load_model(other, checkpoint, tmp_path, config())
    for name, tensor in trained.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (network(5), r"0\.weight is \(4, 3\) there and \(5, 3\) here"),
        (network(4, bias=False), r"0\.bias is \(4,\) there and missing here"),
        (
            nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)),
            r"2\.weight is missing there and \(1, 4\)",
        ),
    ],
)
def test_a_checkpoint_of_another_model_is_one_line(model: nn.Module, expected: str) -> None:
    checkpoint = checkpoint_of(network(4), config(head_width=4))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError, match=rf"^c\.pt: made by another model: {expected}") as error:
        load_model(model, checkpoint, Path("c.pt"), config(head_width=5))
    assert "(model.head_width = 4 there, 5 here)" in str(error.value)
    assert "\n" not in str(error.value)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items()), "nothing was copied"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data": {"classes": ["PEDESTRIAN", "VEHICLE", "CYCLIST"]}}, "data.classes"),
        ({"data": {"classes": ["VEHICLE", "PEDESTRIAN", "SIGN"]}}, "data.classes"),
        ({"grid": {"lower": [-76.16, -74.88, -2.0]}}, "grid.lower"),
        ({"grid": {"cell": [0.16, 0.16, 6.0]}}, "grid.cell"),
        ({"model": {"encoder": "dynamic_any_height"}}, "model.encoder"),
        ({"model": {"centre_offsets": "xy"}}, "model.centre_offsets"),
        ({"model": {"prior": 0.01}}, None),  # where training starts from
        ({"decode": {"score": 0.3}, "data": {"returns": [1], "min_points": 5}, "train": {"epochs": 9}}, None),
    ],
)
def test_weights_that_would_mean_something_else_are_refused(changes: dict, expected: str | None) -> None:
    model, here = network(), Config.model_validate(changes)
    checkpoint = checkpoint_of(network(), config())
    if expected is None:
        load_model(model, checkpoint, Path("c.pt"), here)
        return
    with pytest.raises(UserError, match=rf"^c\.pt: its weights were trained with {expected} = .*; leave {expected} as"):
        load_model(model, checkpoint, Path("c.pt"), here)


def test_settings_that_an_older_checkpoint_lacks_are_no_difference() -> None:
    values = config_values(config())
    del values["model"]["centre_offsets"], values["grid"]
    assert find_changed_meaning(values, config(centre_offsets="xy")) is None


def test_a_full_disk_is_an_os_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, checkpoint_of(network(), config()))
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # a write beyond fails as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            save_checkpoint(path, checkpoint_of(network(64), config()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def damaged(folder: Path) -> Path:
    save_checkpoint(folder / "whole.pt", checkpoint_of(network(), config()))
    path = folder / "damaged.pt"
    content = (folder / "whole.pt").read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def text_file(folder: Path) -> Path:
    path = folder / "text.pt"
    path.write_text("not a checkpoint\n")
    return path


def empty_file(folder: Path) -> Path:
    path = folder / "empty.pt"
    path.touch()
    return path


def pickled_object(folder: Path) -> Path:
    torch.save(network(), folder / "object.pt")
    return folder / "object.pt"


@pytest.mark.parametrize("make", [damaged, text_file, empty_file, pickled_object])
def test_other_files_are_refused_in_one_line(tmp_path: Path, make) -> None:
    path = make(tmp_path)
    with pytest.raises(UserError, match=rf"{path.name}: not a checkpoint, or a damaged one") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)


def test_missing_and_foreign_formats_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.pt: no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
    torch.save({"format": 0, "step": 1}, tmp_path / "old.pt")
    with pytest.raises(UserError, match=r"old\.pt: checkpoint format 0, this version reads 1"):
        load_checkpoint(tmp_path / "old.pt")
    torch.save([torch.ones(1)], tmp_path / "list.pt")
    with pytest.raises(UserError, match="checkpoint format None"):
        load_checkpoint(tmp_path / "list.pt")


def test_first_difference_names_the_key() -> None:
    there, here = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 5}, "d": 4}
    assert find_first_difference(there, here) == ("a.c", 2, 5)
    assert find_first_difference(there, here, ignore=frozenset({"a.c"})) == ("d", 3, 4)
    assert find_first_difference(there, there) is None
    assert find_first_difference({"a": {}}, {"a": {"new": 1}}) == ("a.new", None, 1)


def test_every_changed_byte_is_found_or_changes_nothing(tmp_path: Path) -> None:
    """One byte at a time, all over the file: an error that names the file, or exactly what was saved."""
    path = tmp_path / "c.pt"
    save_checkpoint(path, checkpoint_of(network(), config()))
    whole = path.read_bytes()
    wanted = compute_checksum(load_checkpoint(path).__dict__)
    rng = np.random.default_rng(0)
    num_found = 0
    for position in rng.integers(len(whole), size=300):
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read = load_checkpoint(path)
        except UserError as error:
            num_found += str(path) in str(error)
            continue
        assert compute_checksum(read.__dict__) == wanted
    assert num_found > 150  # most of a file is content


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_cut_file_is_damaged(share: float, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, checkpoint_of(network(), config()))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DamagedCheckpointError, match=r"damaged.*--checkpoint"):
        load_checkpoint(path)


def test_a_weight_changed_with_its_zip_checksum_is_found(tmp_path: Path) -> None:
    """An archive that was written anew with other bytes is consistent in itself: our own checksum finds it."""
    path = tmp_path / "c.pt"
    save_checkpoint(path, checkpoint_of(network(), config()))
    content = torch.load(path, weights_only=True)
    content["model"]["0.weight"][0, 0] = -1.67e37
    torch.save(content, path)
    with pytest.raises(DamagedCheckpointError, match="its checksum is wrong"):
        load_checkpoint(path)
