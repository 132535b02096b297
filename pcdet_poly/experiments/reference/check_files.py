"""Reference files -> for every output, whether our code gives it too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from pcdet_poly.array_files import load_npz
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.reference.kinds import ADAPTERS, find_kind
from pcdet_poly.experiments.reference.output import Output


@dataclass(frozen=True)
class CheckedFile:
    """What our code made of one reference file."""

    file: Path
    kind: str
    outputs: tuple[Output, ...]

    @property
    def holds(self) -> bool:
        """Whether no output differs."""
        return all(output.holds for output in self.outputs)


def check_files(files: Iterable[Path]) -> Iterator[CheckedFile]:
    """Run our code on each file. Raises UserError for a file that is damaged or lacks an array."""
    for file in files:
        kind = find_kind(file)
        arrays = load_npz(file)
        try:
            outputs = tuple(ADAPTERS[kind](arrays))
        except KeyError as error:
            raise UserError(f"{file}: no array {error} in it, which a file of kind {kind} has") from error
        except (ValueError, TypeError, IndexError, ArithmeticError, RuntimeError) as error:
            raise UserError(f"{file}: its arrays are not those of a file of kind {kind} ({error})") from error
        yield CheckedFile(file, kind, outputs)


def describe_file(checked: CheckedFile) -> list[str]:
    """Return the lines to print about one file: a heading, then one line per output."""
    lines = [f"{checked.file.name}: {'holds' if checked.holds else 'DIFFERS'}"]
    width = max((len(output.name) for output in checked.outputs), default=0)
    for output in checked.outputs:
        numbers = f"error {output.error:<9.3g} maximum {output.maximum:<9.4g} allowed {output.allowed:<9.3g}"
        lines.append(f"  {output.name:<{width}}  {numbers} {'holds' if output.holds else 'DIFFERS'}")
    return lines


def describe_total(checked: Iterable[CheckedFile]) -> str:
    """Return one line that counts outputs and files."""
    files = list(checked)
    outputs = [output for file in files for output in file.outputs]
    return f"{sum(output.holds for output in outputs)} of {len(outputs)} outputs hold, in {len(files)} files"


def to_json(checked: CheckedFile) -> dict[str, Any]:
    """Return what `--json` prints of one file; an infinite error is null."""
    outputs = [
        {
            "name": output.name,
            "error": output.error if isfinite(output.error) else None,
            "maximum": output.maximum,
            "allowed": output.allowed,
            "holds": output.holds,
        }
        for output in checked.outputs
    ]
    return {"file": str(checked.file), "kind": checked.kind, "holds": checked.holds, "outputs": outputs}
