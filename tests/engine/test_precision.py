"""Mixed precision: kinds, what torch cannot do, the loss scale."""

from __future__ import annotations

import pytest
import torch

from pcdet_poly.config.sections.train import TrainConfig
from pcdet_poly.engine import precision
from pcdet_poly.engine.precision import autocast, build_scaler, check_precision, check_scale
from pcdet_poly.errors import UserError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("given", "kind", "dtype"),
    [
        (False, False, torch.float32),
        (True, "bf16", torch.bfloat16),
        ("bf16", "bf16", torch.bfloat16),
        ("fp16", "fp16", torch.float16),
    ],
)
def test_settings_and_what_the_network_runs_in(given: object, kind: object, dtype: torch.dtype) -> None:
    cfg = TrainConfig.model_validate({"mixed_precision": given})
    assert cfg.mixed_precision == kind
    with autocast(CPU, cfg.mixed_precision):
        assert torch.nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2)).dtype == dtype
    assert build_scaler(CPU, cfg.mixed_precision).is_enabled() == (kind == "fp16")


def test_what_torch_cannot_do_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (False, "bf16"):
        check_precision(CPU, kind)

    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("no such kernel\nand a long story")

    monkeypatch.setattr(precision, "autocast", refuse)
    with pytest.raises(UserError, match=r"mixed_precision = fp16: .* on cpu \(no such kernel\); use bf16 or false"):
        check_precision(CPU, "fp16")


def test_a_scale_below_one_ends_the_run() -> None:
    check_scale(build_scaler(CPU, False), 3)
    scaler = build_scaler(CPU, "fp16")
    scaler.load_state_dict(scaler.state_dict() | {"scale": 1.0})
    check_scale(scaler, 3)
    scaler.load_state_dict(scaler.state_dict() | {"scale": 0.5})
    with pytest.raises(UserError, match=r"^step 3: the loss scale fell to 0\.5, step after step was skipped;"):
        check_scale(scaler, 3)
