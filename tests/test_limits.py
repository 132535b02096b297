"""Limits of memory have defaults, and variables that replace them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.limits import DEFAULTS, find_limit

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_variable_replaces_a_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"PCDET_POLY_MAX_{name}_BYTES", raising=False)
    assert find_limit(name) == DEFAULTS[name]
    monkeypatch.setenv(f"PCDET_POLY_MAX_{name}_BYTES", " ")
    assert find_limit(name) == DEFAULTS[name]
    monkeypatch.setenv(f"PCDET_POLY_MAX_{name}_BYTES", "12345")
    assert find_limit(name) == 12345


@pytest.mark.parametrize("text", ["1 GB", "-1", "0", "1e9", "٣", "9" * 30])
def test_what_is_no_number_of_bytes_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCDET_POLY_MAX_NPZ_BYTES", text)
    with pytest.raises(UserError, match="a number of bytes needed, such as 1073741824"):
        find_limit("NPZ")


def test_every_limit_is_in_the_documentation_and_is_asked_for_somewhere() -> None:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    assert set(re.findall(r"PCDET_POLY_MAX_(\w+)_BYTES", page)) == set(DEFAULTS)
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "pcdet_poly").rglob("*.py")]
    assert {name for text in sources for name in re.findall(r'find_limit\("(\w+)"\)', text)} == set(DEFAULTS)


def test_a_cloud_beyond_the_limit_is_one_line(tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from pcdet_poly.array_files import load_npz; from pcdet_poly.errors import run_command\n"
        f"np.savez({str(tmp_path / 'a.npz')!r}, points=np.zeros(1000))\n"
        f"sys.exit(run_command(lambda: load_npz(Path({str(tmp_path / 'a.npz')!r})) and 0))\n"
    )
    for limit, code in (("7000", 2), ("70000", 0)):
        environment = {"PYTHONPATH": str(ROOT), "PCDET_POLY_MAX_NPZ_BYTES": limit}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 1 if code else 0), done.stderr
