"""Every row of the 80-digit reference, in float64, float32 and half precision: loss and gradient."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pcdet_poly import losses
from tests.tolerances import FLOAT32_SUM, FLOAT32_VALUE

Row = dict[str, Any]


def _binary(x: Tensor, row: Row) -> Tensor:
    alpha = None if row["alpha"] is None else float(row["alpha"])
    return losses.poly1_focal(
        x, torch.tensor(row["y"]), gamma=float(row["gamma"]), alpha=alpha, epsilon=float(row["eps"])
    )


def _unweighted(x: Tensor, row: Row) -> Tensor:
    return losses.poly1_focal_unweighted(x, torch.tensor(row["y"]), gamma=2.0, alpha=0.25, epsilon=float(row["eps"]))


def _gaussian(x: Tensor, row: Row) -> Tensor:
    return losses.gaussian_poly1_focal(x, _target(x, row), epsilon=float(row["eps"]))


def _poly_n(x: Tensor, row: Row) -> Tensor:
    epsilons = [float(epsilon) for epsilon in row["eps_list"]]
    return losses.poly_n_focal(x, torch.tensor(row["y"]), gamma=float(row["gamma"]), epsilons=epsilons)


def _drop_n(x: Tensor, row: Row) -> Tensor:
    return losses.drop_n_focal(x, torch.tensor(row["y"]), gamma=float(row["gamma"]), num_terms=row["N"])


def _soft(x: Tensor, row: Row) -> Tensor:
    y = _target(x, row)
    return losses.poly1_focal(x, y, gamma=float(row["gamma"]), epsilon=float(row["eps"]), soft=row["mode"])


def _softmax(x: Tensor, row: Row) -> Tensor:
    return losses.poly1_cross_entropy(
        x, torch.tensor(row["t"]), epsilon=float(row["eps"]), label_smoothing=float(row["ls"])
    )


def _softmax_focal(x: Tensor, row: Row) -> Tensor:
    return losses.poly1_softmax_focal(x, torch.tensor(row["t"]), gamma=float(row["gamma"]), epsilon=float(row["eps"]))


def _target(x: Tensor, row: Row) -> Tensor:
    return torch.tensor(float(row["y"]), dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)


LOSS_OF_TABLE: dict[str, Callable[[Tensor, Row], Tensor]] = {
    "binary": _binary,
    "binary_unweighted_poly": _unweighted,
    "gaussian": _gaussian,
    "poly_n": _poly_n,
    "drop_n": _drop_n,
    "soft_binary": _soft,
    "softmax": _softmax,
    "softmax_focal": _softmax_focal,
}


@pytest.fixture(scope="module")
def tables(oracle: Path) -> dict[str, Any]:
    return json.loads((oracle / "losses" / "polyloss_reference.json").read_text())


def test_every_table_is_tested(tables: dict[str, Any]) -> None:
    assert set(tables) - {"meta"} == set(LOSS_OF_TABLE)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("table", LOSS_OF_TABLE)
def test_loss_and_gradient_of_every_row(tables: dict[str, Any], table: str, dtype: torch.dtype) -> None:
    wrong = []
    for values in tables[table]["rows"]:
        row = dict(zip(tables[table]["columns"], values, strict=True))
        loss, gradient = _evaluate(table, row, dtype)
        wanted = [float(number) for number in (row["grad"] if isinstance(row["grad"], list) else [row["grad"]])]
        pairs = zip([loss, *gradient], [float(row["loss"]), *wanted], strict=True)
        if not all(_close(ours, reference, dtype) for ours, reference in pairs):
            wrong.append((row, loss, gradient))
        if table != "binary_unweighted_poly":
            assert loss >= 0
    assert not wrong, f"{len(wrong)} rows, first: {wrong[0]}"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("table", LOSS_OF_TABLE)
def test_half_precision_logits_are_computed_in_float32(tables: dict[str, Any], table: str, dtype: torch.dtype) -> None:
    for values in tables[table]["rows"][::7]:
        row = dict(zip(tables[table]["columns"], values, strict=True))
        x = _logits(row, torch.float32).to(dtype)
        from_half, from_float = LOSS_OF_TABLE[table](x, row), LOSS_OF_TABLE[table](x.float(), row)
        assert from_half.dtype == torch.float32
        assert torch.equal(from_half, from_float)


def _evaluate(table: str, row: Row, dtype: torch.dtype) -> tuple[float, list[float]]:
    x = _logits(row, dtype).requires_grad_()
    loss = LOSS_OF_TABLE[table](x, row)
    (gradient,) = torch.autograd.grad(loss, x)
    assert loss.dtype == gradient.dtype == dtype
    return loss.item(), gradient.reshape(-1).tolist()


def _logits(row: Row, dtype: torch.dtype) -> Tensor:
    given = row["logits"] if "logits" in row else row["x"]
    return torch.tensor([float(x) for x in given] if isinstance(given, list) else float(given), dtype=dtype)


def _close(ours: float, reference: float, dtype: torch.dtype) -> bool:
    # What docs/losses.md promises.
    if dtype == torch.float32 and abs(reference) < FLOAT32_VALUE:
        return abs(ours - reference) <= FLOAT32_VALUE
    return abs(ours - reference) <= (1e-11 if dtype == torch.float64 else FLOAT32_SUM) * abs(reference)
