"""A mistyped name is answered with what was meant, and a name of something else with nothing."""

from __future__ import annotations

import pytest

from pcdet_poly.commands.table import GROUPS
from pcdet_poly.config.error_text import list_keys
from pcdet_poly.config.find import find_config, list_configs
from pcdet_poly.config.load import build_config, read_settings
from pcdet_poly.errors import UserError
from pcdet_poly.names.near_names import find_near_names

COMMANDS = [command.name for group in GROUPS.values() for command in group]
SETTINGS = sorted({key[-1] for key in list_keys()})
CONFIGS, SWEEPS = list_configs(), list_configs("sweeps")
CHECKPOINTS = ["best", "last", *(f"step_{step:08d}.pt" for step in (200, 400, 800))]
CENTERPOINT = find_config("centerpoint_pillar")
ARMS = ["focal", "eps1", "eps-1", "eps2-constant", "half-rate"]


@pytest.mark.parametrize(
    ("word", "names", "first"),
    [
        ("trian", COMMANDS, "train"),
        ("rian", COMMANDS, "train"),
        ("evalaute", COMMANDS, "evaluate"),
        ("eval", COMMANDS, "evaluate"),
        ("losslab", COMMANDS, "loss-lab"),
        ("loss_lab", COMMANDS, "loss-lab"),
        ("import", COMMANDS, "import-frames"),
        ("frames", COMMANDS, "import-frames"),
        ("bank", COMMANDS, "build-bank"),
        ("checkpoint", COMMANDS, "import-checkpoint"),
        ("DETECT", COMMANDS, "detect"),
        ("scor", ["score_rule", "score"], "score"),
        ("epsilom", SETTINGS, "epsilon"),
        ("learning-rate", SETTINGS, "learning_rate"),
        ("learningrate", SETTINGS, "learning_rate"),
        ("lr", SETTINGS, "learning_rate"),
        ("rate_learning", SETTINGS, "learning_rate"),
        ("widht", ["heading", "head_width", "prior"], "head_width"),
        ("batchsize", SETTINGS, "batch_size"),
        ("epcohs", SETTINGS, "epochs"),
        ("smaples", ["samples", "sample_every"], "samples"),
        ("quikc", CONFIGS, "quick"),
        ("center_point_pillar", CONFIGS, "centerpoint_pillar"),
        ("centerpoint_pilar", CONFIGS, "centerpoint_pillar"),
        ("point_pillars", CONFIGS, "pointpillars"),
        ("real_rsn", CONFIGS, "real_overfit_rsn"),
        ("Mini", SWEEPS, "mini"),
        ("lsat", CHECKPOINTS, "last"),
        ("step_0000400.pt", CHECKPOINTS, "step_00000400.pt"),
        ("foacl", ARMS, "focal"),
        ("eps_1", ARMS, "eps-1"),
        ("constant", ARMS, "eps2-constant"),
        ("valdiation", ["training", "validation", "testing"], "validation"),
        ("val", ["training", "validation", "testing"], "validation"),
        ("Vehicle", ["VEHICLE", "PEDESTRIAN", "CYCLIST"], "VEHICLE"),
        ("argovers", ["kitti", "nuscenes", "argoverse2"], "argoverse2"),
    ],
)
def test_the_name_that_was_meant_comes_first(word: str, names: list[str], first: str) -> None:
    near = find_near_names(word, names)
    assert near[:1] == [first]
    assert len(near) <= 3


@pytest.mark.parametrize("word", ["", "x", "dog", "zebra", "42", "---", "öäü", "a" * 300])
def test_what_is_like_nothing_is_answered_with_nothing(word: str) -> None:
    assert find_near_names(word, [*COMMANDS, "best", "focal"]) == []
    assert find_near_names(word, []) == []


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model.widht=32", "did you mean 'head_width'"),
        ("model.epsilon=1", "did you mean 'classification.epsilon'"),
        ("model.epsilom=1", "did you mean 'classification.epsilon'"),
        ("train.nms_io=1", "did you mean 'decode.nms_iou'"),
        ("model.kind=center_point_pillar", "did you mean 'centerpoint_pillar'"),
        ("train.schedule=onecycle", "did you mean 'one_cycle'"),
        ("model.zzz=1", "; there are head_width, "),
    ],
)
def test_settings_and_their_values(override: str, says: str) -> None:
    with pytest.raises(UserError, match=r"no such|input should be") as error:
        build_config(read_settings(CENTERPOINT, [override]))
    assert says in str(error.value)
