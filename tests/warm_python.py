"""Python programs in forks of one process that has imported libraries already, whose imports cost seconds each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# A request is a line. Its fork leaves the loop and ends as any program does, with Python's exit codes and tracebacks.
_SERVER = """
import json, os, sys
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
request = json.loads(line)
for number, name in enumerate((os.devnull, request["stdout"], request["stderr"])):
    os.dup2(os.open(name, os.O_RDWR), number)
os.chdir(request["folder"])
os.environ["PYTHONPATH"] = os.pathsep.join(request["path"])
sys.path[:0] = request["path"]
sys.argv[1:] = request["words"]
exec(request["program"], {"__name__": "__main__"})
"""


class WarmPython:
    """The process that is forked. It must not have imported what a program is to find elsewhere."""

    def __init__(self, imports: str) -> None:
        """Start it, with what the program `imports` loads."""
        self._output = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", imports + _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
            text=True,
        )

    def run(self, program: str, *words: str, folder: Path, path: Sequence[Path]) -> subprocess.CompletedProcess[str]:
        """Run a program as `python -P -c program words` would, and wait for its end.

        Args:
            program: source text.
            words: what follows the program on the command line.
            folder: the current folder.
            path: folders in which modules are looked for first, as by PYTHONPATH.

        Returns:
            Exit code and what the program printed.
        """
        files = [Path(self._output.name) / name for name in ("stdout", "stderr")]
        for file in files:
            file.write_text("")
        request = {
            "program": program,
            "words": words,
            "folder": str(folder),
            "path": [*map(str, path)],
            "stdout": str(files[0]),
            "stderr": str(files[1]),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(["python", *words], code, *(file.read_text() for file in files))

    def close(self) -> None:
        """End the process, which no program is using now."""
        self._process.communicate()
        self._output.cleanup()
