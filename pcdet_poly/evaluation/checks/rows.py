"""Rows of a side that cannot be meant: scores that are none, boxes in other units or frames, rows that are there twice.

Where a tenth of the rows or more are so, a number would be wrong, and it is an error; a few may come from a network
that has hardly learned, and are counted in a line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from pcdet_poly.checks.boxes import BOX_FAULTS, find_upright_axis, list_numbers
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import EvaluationSide, Objects, Predictions

_SHARE = 0.1
_FEW = 10  # boxes that say nothing of their frame of reference


def check_scores(score: np.ndarray, place: str) -> None:
    """Refuse scores (N,) outside [0, 1]; raises UserError that says what they look like."""
    bad = np.flatnonzero(~((score >= 0) & (score <= 1)))
    if not len(bad):
        return
    low, high = float(np.nanmin(score, initial=np.inf)), float(np.nanmax(score, initial=-np.inf))
    found = f"{place}: {len(bad)} of {len(score)} scores are not in [0, 1] (the first is {score[bad[0]]:g})"
    if np.isnan(score[bad]).all():
        raise UserError(f"{found}: not a number; drop such boxes or mend what made them")
    if low < 0:
        raise UserError(f"{found}: from {low:g} to {high:g}: logits? apply a sigmoid first")
    if 1 < high <= 100:
        raise UserError(f"{found}: up to {high:g}: per cent? divide by 100 (logits? apply a sigmoid)")
    raise UserError(f"{found}: up to {high:g}; scores are shares from 0 to 1")


def find_odd_scores(score: np.ndarray, place: str) -> Iterator[str]:
    """Yield a line where scores (N,) cannot tell good predictions from bad ones."""
    if len(score) > _FEW and score.min() == score.max():
        yield f"{place}: all {len(score)} scores are {score[0]:g}, so curves have one point: labels, not detections?"


def check_side(
    side: EvaluationSide[Predictions] | EvaluationSide[Objects], place: str, allowed: Collection[str] = ()
) -> Iterator[str]:
    """Yield a line for each oddity of a side's boxes that may be meant.

    Args:
        side: predictions or labelled objects.
        place: what messages call it.
        allowed: kinds of errors, of `ALLOWABLE` in checks/findings.py, that are meant.

    Raises:
        UserError: where so many boxes are wrong that the numbers would be.
    """
    rows = side.rows
    with np.errstate(invalid="ignore"):
        for fault in BOX_FAULTS:
            bad = np.flatnonzero(fault.find(rows.box)) if len(rows) else np.zeros(0, np.int64)
            if len(bad):
                values = list_numbers(rows.box[bad[0], fault.columns])
                first = f"the first, of frame {side.frames[rows.frame[bad[0]]]}: {values}"
                yield from _judge(f"{place}: {len(bad)} of {len(rows)} boxes have {fault.text} ({first})", bad, rows)
    twice = find_repeated_rows(rows)
    if len(twice):
        first = f"the first is of frame {side.frames[rows.frame[twice[0]]]}"
        text = f"{place}: {len(twice)} of {len(rows)} boxes are there twice, number for number ({first}): joined twice?"
        yield from _judge(text, twice, rows)
    if len(rows) >= _FEW and (finding := find_upright_axis(rows.box)):
        finding = finding.soften(allowed)
        if finding.is_error:
            raise UserError(f"{place}: {finding.text}")
        yield f"{place}: {finding.text}"


def _judge(text: str, bad: np.ndarray, rows: Predictions | Objects) -> Iterator[str]:
    if len(bad) >= max(_SHARE * len(rows), 1) and len(rows) >= _FEW:
        raise UserError(text)
    yield text


def find_repeated_rows(rows: Predictions | Objects) -> np.ndarray:
    """Find the rows (N,) that equal an earlier one in frame, type, box and, for predictions, score."""
    columns = [rows.frame, rows.type, *np.ascontiguousarray(rows.box, np.float32).view(np.uint32).reshape(-1, 7).T]
    if isinstance(rows, Predictions):
        columns.append(np.ascontiguousarray(rows.score, np.float32).view(np.uint32))
    factors = np.random.default_rng(0).integers(1, 2**63, len(columns), np.uint64) | np.uint64(1)
    # Sums of products modulo 2^64: of a validation set's eight million rows, two differ and meet once in 500,000 tries.
    total = np.zeros(len(rows), np.uint64)
    for column, factor in zip(columns, factors, strict=True):
        total = (total ^ (total >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15) + column.astype(np.uint64) * factor
    order = np.argsort(total, kind="stable")
    repeated: np.ndarray = np.sort(order[1:][total[order][1:] == total[order][:-1]])
    return repeated
