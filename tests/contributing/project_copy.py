"""A copy of the project in which only the files that a row of CONTRIBUTING.md names can be changed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.contributing.page import ROOT
from tests.warm_python import WarmPython


@dataclass
class ProjectCopy:
    """The copy, the paths that may be changed in it, and those that were."""

    folder: Path
    allowed: Sequence[str]  # relative to the project, with <name> for any word
    touched: set[str] = field(default_factory=set)  # which of `allowed`

    @classmethod
    def make(cls, folder: Path, allowed: Sequence[str]) -> ProjectCopy:
        """Copy what a change can need. Compiled kernels come along: compiling them again takes a minute."""
        for name in ("pcdet_poly", "configs", "docs"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("images", "studies", "*.tmp*"))
        return cls(folder, allowed)

    def write(self, path: str, text: str) -> None:
        """Write a file that is new."""
        file = self._open(path)
        assert not file.exists(), f"{path} is there already"
        file.write_text(text)

    def insert(self, path: str, before: str, text: str) -> None:
        """Put `text` before the only place where `before` stands in a file."""
        self.replace(path, before, text + before)

    def replace(self, path: str, old: str, new: str) -> None:
        """Replace the only place where `old` stands in a file."""
        file = self._open(path)
        before = file.read_text()
        assert before.count(old) == 1, f"{path} has {old!r} {before.count(old)} times"
        file.write_text(before.replace(old, new))

    def run(self, program: str, python: WarmPython) -> subprocess.CompletedProcess[str]:
        """Run a Python program with the copy's package and the project's tests."""
        check = f"import pcdet_poly; assert pcdet_poly.__file__.startswith({str(self.folder)!r}), pcdet_poly.__file__\n"
        return python.run(check + program, folder=self.folder, path=[self.folder, ROOT])

    def _open(self, path: str) -> Path:
        fitting = [name for name in self.allowed if re.fullmatch(re.sub(r"<\w+>", r"\\w+", name), path)]
        assert fitting, f"{path} is not among the files that the row names: {', '.join(self.allowed)}"
        self.touched.update(fitting)
        return self.folder / path
