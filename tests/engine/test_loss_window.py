"""Means between log lines, and the guard against NaN."""

from __future__ import annotations

import math

import pytest
import torch

from pcdet_poly.engine.loss_window import SKIPPED, LossWindow
from pcdet_poly.errors import UserError


def window_of(*losses: float) -> LossWindow:
    window = LossWindow()
    for step, loss in enumerate(losses, start=1):
        window.add(step, (f"a/{step}", f"b/{step}"), {"loss": torch.tensor(loss), "box": torch.tensor(2.0 * loss)})
    return window


def test_means_are_those_of_the_steps() -> None:
    assert window_of(1.0, 2.0, 6.0).compute_means() == {"loss": 3.0, "box": 6.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_bad_step_is_named_with_its_frames_and_losses(bad: float) -> None:
    window = window_of(1.0, bad, math.nan)
    with pytest.raises(
        UserError, match=r"^step 2: loss = (nan|-?inf), box = (nan|-?inf); in frames a/2, b/2;"
    ) as error:
        window.check()
    assert "\n" not in str(error.value)


def test_good_and_empty_windows_pass() -> None:
    window_of(1.0, 2.0).check()
    LossWindow().check()
    window = window_of(math.nan)
    window.clear()
    window.check()


def test_a_restored_window_goes_on_as_the_original() -> None:
    window = window_of(0.1, 0.7)
    restored = LossWindow.from_state_dict(window.state_dict(), torch.device("cpu"))
    for each in (window, restored):
        each.add(3, ("c",), {"loss": torch.tensor(0.3), "box": torch.tensor(5.0)})
    assert restored.compute_means() == window.compute_means()
    assert restored.state_dict()["frame_ids"] == [["a/1", "b/1"], ["a/2", "b/2"], ["c"]]


def test_values_are_detached_copies() -> None:
    loss = torch.tensor(1.0, requires_grad=True)
    window = LossWindow()
    window.add(1, ("a",), {"loss": loss})
    with torch.no_grad():
        loss += 5
    assert not window.values[0].requires_grad
    assert window.compute_means() == {"loss": 1.0}


def test_skipped_steps_are_counted_and_their_values_left_out() -> None:
    window = LossWindow()
    for step, (loss, skipped) in enumerate([(1.0, False), (math.nan, True), (3.0, False), (math.inf, True)], start=1):
        window.add(step, (f"a/{step}",), {"loss": torch.tensor(loss), SKIPPED: torch.tensor(skipped)})
    window.check()
    assert window.compute_means() == {"loss": 2.0, SKIPPED: 2.0}
    only = LossWindow()
    only.add(1, ("a",), {"loss": torch.tensor(math.nan), SKIPPED: torch.tensor(True)})
    assert only.compute_means() == {SKIPPED: 1.0}
    window.add(5, ("a/5",), {"loss": torch.tensor(math.nan), SKIPPED: torch.tensor(False)})
    with pytest.raises(UserError, match=r"^step 5: loss = nan"):
        window.check()
