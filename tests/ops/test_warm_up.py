"""Loading the kernels has no effect but that."""

from __future__ import annotations

import pytest
import torch

from pcdet_poly.ops.warm_up import warm_up


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_works_in_every_mode_and_draws_no_number_of_the_caller(mode) -> None:
    before = torch.get_rng_state()
    warm_up.cache_clear()
    with mode():
        warm_up()
    assert torch.equal(torch.get_rng_state(), before)
