"""Which pinned libraries have wheels, for every platform and Python: prints a table in Markdown. Needs the network.

Nothing is downloaded but the index and the metadata of the wheels (`pip install --dry-run`).

    python benchmarks/check_platforms.py ["macOS arm64" ...]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
_GLIBC = range(39, 16, -1)  # of Ubuntu 24.04 and older
PLATFORMS = {  # name -> what markers see (sys_platform, platform_machine), what pip accepts
    "Linux x86-64": (
        "linux",
        "x86_64",
        [*(f"manylinux_2_{n}_x86_64" for n in range(39, 4, -1)), "manylinux2014_x86_64"],
    ),
    "Linux arm64": (
        "linux",
        "aarch64",
        [*(f"manylinux_2_{n}_aarch64" for n in range(39, 16, -1)), "manylinux2014_aarch64"],
    ),
    "macOS arm64": ("darwin", "arm64", ["macosx_15_0_arm64"]),
    "Windows x86-64": ("win32", "AMD64", ["win_amd64"]),
}
_MISSING = re.compile(r"No matching distribution found for ([\w.-]+)")


def read_pins(path: Path) -> list[Requirement]:
    """Return the lines of a requirements file that name a library."""
    lines = (line.split(" #")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def applies(pin: Requirement, system: str, machine: str, python: str) -> bool:
    """Return whether the marker of `pin` holds there. pip itself looks at the machine it runs on."""
    place = {"sys_platform": system, "platform_machine": machine, "python_version": python}
    return pin.marker is None or pin.marker.evaluate({**place, "extra": ""})


def find_missing(pins: list[Requirement], tags: list[str], python: str) -> set[str]:
    """Return the names of `pins` that have no wheel for one of `tags` and this Python."""
    missing: set[str] = set()
    while True:
        words = [f"{pin.name}{pin.specifier}" for pin in pins if pin.name not in missing]
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--only-binary=:all:", "--quiet"]
        command += ["--python-version", python, *(f"--platform={tag}" for tag in tags)]
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([*command, "--target", folder, *words], capture_output=True, text=True)
        if done.returncode == 0:
            return missing
        found = _MISSING.search(done.stderr)
        if found is None:
            sys.exit(done.stderr)
        missing.add(found[1])


def main() -> None:
    pins = [pin for name in ("requirements.txt", "requirements-dev.txt") for pin in read_pins(ROOT / name)]
    columns = {}
    chosen = sys.argv[1:] or list(PLATFORMS)
    for name, (system, machine, tags) in ((name, PLATFORMS[name]) for name in chosen):
        for python in PYTHONS:
            wanted = [pin for pin in pins if applies(pin, system, machine, python)]
            missing = find_missing(wanted, tags, python)
            columns[name, python] = {pin.name: "no" if pin.name in missing else "yes" for pin in wanted}
            print(f"{name}, Python {python}: {sorted(missing) or 'all'}", file=sys.stderr)
    print("| library |", " | ".join(chosen), "|\n|---|" + "---|" * len(chosen))
    for pin in dict.fromkeys(pin.name for pin in pins):
        cells = [{columns[name, python].get(pin, "not asked") for python in PYTHONS} for name in chosen]
        print(f"| {pin} |", " | ".join("/".join(sorted(cell)) for cell in cells), "|")


if __name__ == "__main__":
    main()
