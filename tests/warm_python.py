"""Python programs in forks of one process that has imported libraries already, whose imports cost seconds each time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

# A request is a line. Its fork leaves the loop and ends as any program does, with Python's exit codes and tracebacks.
_SERVER = """
import json, os, sys
for line in sys.stdin:
    request = json.loads(line)
    if "pid" in request:
        pid, status = os.waitpid(request["pid"], 0 if request["wait"] else os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status) if pid else None), flush=True)
        continue
    child = os.fork()
    if child == 0:
        break
    print(child, flush=True)
else:
    sys.exit()
for number, name in enumerate((os.devnull, request["stdout"], request["stderr"])):
    os.dup2(os.open(name, os.O_RDWR), number)
os.chdir(request["folder"])
os.environ.update(request["variables"], PYTHONPATH=os.pathsep.join(request["path"]))
sys.path[:0] = request["path"]
sys.argv[1:] = request["words"]
exec(request["program"], {"__name__": "__main__"})
"""

# A program that ends without taking apart what its process had imported, which takes a second.
_QUICK_END = """
import atexit, os, sys, threading, traceback
code = 0
try:
    exec({program!r}, {{"__name__": "__main__"}})
except SystemExit as end:
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
except BaseException:
    traceback.print_exc()
    code = 1
threading._shutdown()
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)
"""


class WarmPython:
    """The process that is forked. It must not have imported what a program is to find elsewhere."""

    def __init__(self, imports: str) -> None:
        """Start it, with what the program `imports` loads."""
        self._output = tempfile.TemporaryDirectory()
        self._numbers = count()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", imports + _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
            text=True,
        )

    def run(self, program: str, *words: str, folder: Path, path: Sequence[Path]) -> subprocess.CompletedProcess[str]:
        """Run a program as `start` does, and wait for its end, which is a quick one."""
        process = self.start(_QUICK_END.format(program=program), *words, folder=folder, path=path)
        stdout, stderr = process.communicate()
        return subprocess.CompletedProcess(["python", *words], process.returncode or 0, stdout, stderr)

    def start(
        self,
        program: str,
        *words: str,
        folder: Path,
        path: Sequence[Path],
        variables: Mapping[str, str] | None = None,
    ) -> WarmProcess:
        """Start a program as `python -P -c program words` would.

        Args:
            program: source text.
            words: what follows the program on the command line.
            folder: the current folder.
            path: folders in which modules are looked for first, as by PYTHONPATH.
            variables: of the environment, which programs find in addition to those of the tests.

        Returns:
            The program's process, which is a child of this one.
        """
        number = next(self._numbers)
        stdout, stderr = (Path(self._output.name) / f"{name}_{number}" for name in ("stdout", "stderr"))
        for file in (stdout, stderr):
            file.write_text("")
        files = {"stdout": str(stdout), "stderr": str(stderr)}
        place = {"folder": str(folder), "path": [*map(str, path)], "variables": dict(variables or {})}
        return WarmProcess(self, self.ask({"program": program, "words": words} | files | place), stdout, stderr)

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Hand a request to the process, and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process, when all programs have ended."""
        self._process.communicate()
        self._output.cleanup()


class WarmProcess:
    """A program that was started, with the names of `subprocess.Popen`."""

    def __init__(self, python: WarmPython, pid: int, stdout: Path, stderr: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._python, self._files = python, (stdout, stderr)

    def poll(self) -> int | None:
        """Return the exit code, or None if the program has not ended."""
        return self._ask_for_code(wait=False)

    def communicate(self) -> tuple[str, str]:
        """Wait for the end, and return what the program printed."""
        self._ask_for_code(wait=True)
        stdout, stderr = (file.read_text() for file in self._files)
        return stdout, stderr

    def send_signal(self, signum: int) -> None:
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """End the program at once."""
        self.send_signal(signal.SIGKILL)

    def _ask_for_code(self, *, wait: bool) -> int | None:
        if self.returncode is None:
            self.returncode = self._python.ask({"pid": self.pid, "wait": wait})
        return self.returncode
