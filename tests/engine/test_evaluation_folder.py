"""One evaluation at a time writes into a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcdet_poly.engine.evaluation_folder import lock_evaluation
from pcdet_poly.errors import UserError


def test_a_second_evaluation_in_one_folder_is_told_who_writes_there(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    with lock_evaluation(folder):
        with pytest.raises(UserError, match=r"metrics\.json: another evaluation is writing it \(process \d+ on .*"):
            lock_evaluation(folder).__enter__()
        with lock_evaluation(tmp_path / "two"):
            pass
        (folder / "metrics.json").write_text("{}")
    with lock_evaluation(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ["metrics.json"]
    assert not (tmp_path / "two").exists()
