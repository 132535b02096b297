"""Recomputed activations change no number."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pcdet_poly.data.load.loader import load_training_batches
from pcdet_poly.engine.activations import enable_checkpointing
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.errors import UserError

CPU = torch.device("cpu")


def test_gradients_and_running_statistics_stay(tiny) -> None:
    config = tiny()
    batch = next(load_training_batches(config, open_training_frames(config), epoch=0))
    found: list[dict[str, Tensor]] = []
    for checkpointed in (False, True):
        recipe = build_seeded_recipe(config, CPU)
        passes = count_passes(recipe.model.backbone.stages[0])
        if checkpointed:
            enable_checkpointing(recipe.model)
        recipe.model.train()
        recipe.criterion(recipe.model(batch), recipe.assign(batch)).total.backward()
        assert len(passes) == (2 if checkpointed else 1)
        gradients = {name: parameter.grad for name, parameter in recipe.model.named_parameters()}
        found.append(gradients | dict(recipe.model.named_buffers()))
    plain, again = found
    assert plain.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in plain.items())
    assert plain["backbone.stages.0.1.num_batches_tracked"] == 1


def count_passes(stage: nn.Module) -> list[bool]:
    passes: list[bool] = []
    stage[0].register_forward_hook(lambda *_: passes.append(True))
    return passes


def test_names_of_weights_stay(tiny) -> None:
    model = build_seeded_recipe(tiny(), CPU).model
    names = model.state_dict().keys()
    enable_checkpointing(model)
    assert model.state_dict().keys() == names


def test_a_model_without_stages_is_refused() -> None:
    with pytest.raises(UserError, match=r"train\.checkpoint_activations: this model has no stages"):
        enable_checkpointing(nn.Linear(2, 2))
