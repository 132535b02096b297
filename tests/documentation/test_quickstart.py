"""examples/quickstart.ipynb runs from its first cell to its last, with its parameters made small."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from tests.documentation.pages import ROOT
from tests.tiny import TINY

NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"
SMALL = "FOLDER, SEGMENTS, FRAMES, CONFIG, EPOCHS = 'quickstart', 1, 1, 'tiny.yaml', 1"


def test_no_outputs_are_kept() -> None:
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_it_runs_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"base": "quick"} | TINY))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = SMALL
    NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    *_, comparison = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "VEHICLE" in comparison.outputs[0].text
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
