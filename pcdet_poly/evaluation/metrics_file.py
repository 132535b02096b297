"""metrics.json of a run -> its table, with a checksum verified."""

from __future__ import annotations

from pathlib import Path

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.ap_table import ApTable
from pcdet_poly.files import read_checked_json


def read_metrics(path: Path) -> tuple[ApTable, int]:
    """Read the table of a metrics.json and the number of steps after which its detector had been trained.

    Raises UserError where the file is damaged, or no table.
    """
    value = read_checked_json(path)
    try:
        table, step = ApTable.from_json(value), int(value["meta"]["step"])
        for part, breakdown, metric, number in table.iterate_rows():
            float(number)
            if not part or not breakdown or not metric:
                raise ValueError("a number without a name")
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise UserError(f"{path}: not the metrics of a run, or damaged ({reason}); evaluate the run again") from None
    return table, step
