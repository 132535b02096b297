"""What a user's mistake looks like: one line, exit code 2."""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pcdet_poly.names.near_names import find_near_names
from pcdet_poly.names.shown_names import escape_for_terminal
from pcdet_poly.signals import answer_at_once, answer_no_more, catch_stop_signals, find_signal


class UserError(ValueError):
    """Something the user can mend. The message is one line: the place, the value, what to do next."""


def run_command(main: Callable[[], int | None]) -> int:
    """Run a command line's `main` and turn its end into an exit code.

    0 or what `main` returns; 2 with one line on stderr for a `UserError`, a missing file, a permission or a full disk;
    128 + n with one line for the signal n that asked to stop (130 after Ctrl-C). Anything else is a bug and keeps its
    traceback.
    """
    with catch_stop_signals(at_once=False) as stop, _escape_warnings():
        try:
            answer_at_once()
            code = _run_until_error(main)
            answer_no_more()
        except KeyboardInterrupt as error:
            answer_no_more()
            return _report_stop(find_signal(error), getattr(error, "__notes__", []))
        except Exception as error:
            if stop.signum is None:
                raise
            answer_no_more()  # a library may make another error of what stopped it, and so may our own tidying up
            lost = f"stopped while something failed ({type(error).__name__}: {error})"
            return _report_stop(signal.Signals(stop.signum), [" ".join(lost.split())])
        if stop.signum is not None and code == 0:
            return _report_stop(signal.Signals(stop.signum), ["everything was done already, and is kept"])
        return code


def _run_until_error(main: Callable[[], int | None]) -> int:
    try:
        return main() or 0
    except UserError as error:
        _print_line(f"error: {' '.join(str(error).splitlines())}")
        return 2
    except BrokenPipeError:
        return _keep_silent()
    except OSError as error:
        if sys.platform == "win32" and error.errno == errno.EINVAL and error.filename is None:
            return _keep_silent()  # a broken pipe, as Windows names it
        if error.errno not in _OS_ERRORS_OF_USERS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        nearest = suggest_path(error.filename) if error.errno == errno.ENOENT and error.filename else ""
        advice = nearest or f"; {_OS_ERRORS_OF_USERS[error.errno]}"
        _print_line(f"error: {place}{error.strerror}{advice}")
        return 2


def _keep_silent() -> int:
    """Keep Python from complaining once more at exit, since the reader (head, less) has gone; returns the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


@contextmanager
def _escape_warnings() -> Iterator[None]:
    """Let names in Python's warnings be shown, not obeyed, by a terminal."""
    before = warnings.formatwarning

    def format_escaped(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        return before(escape_for_terminal(str(message)), category, filename, lineno, line)

    warnings.formatwarning = format_escaped
    try:
        yield
    finally:
        warnings.formatwarning = before


def _report_stop(signum: signal.Signals, notes: Sequence[str]) -> int:
    """Say in one line what was kept, for all processes that torchrun started together; return the exit code."""
    if "LOCAL_RANK" not in os.environ or os.environ.get("RANK", "0") == "0":
        what = "interrupted" if signum == signal.SIGINT else f"stopped by {signum.name}"
        kept = "; ".join(notes) or "nothing half-written was kept; run the same command again to go on"
        _print_line(f"{what}: {kept}")
    return 128 + signum


def _print_line(text: str) -> None:
    with suppress(OSError):  # a terminal that is gone
        print(escape_for_terminal(text), file=sys.stderr, flush=True)


def suggest_word(word: str, words: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" with the nearest of `words`, up to three, or an empty text where none is near."""
    return _ask(find_near_names(word, words))


def _ask(names: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(map(repr, names))}?" if names else ""


def suggest_path(path: str | Path) -> str:
    """Return "; did you mean 'x'?" with files or folders whose names are near to `path`, which does not exist."""
    path = Path(os.fsdecode(path))
    missing = next((part for part in [path, *path.parents] if part.parent.is_dir() and not part.exists()), None)
    if missing is None:
        return ""
    try:
        names = os.listdir(missing.parent)
    except OSError:
        return ""
    shown = [name for name in names if missing.name.startswith(".") or not name.startswith(".")]
    return _ask([str(missing.parent / name) for name in find_near_names(missing.name, shown)])


_OS_ERRORS_OF_USERS: dict[int | None, str] = {
    errno.ENOENT: "check the path",
    errno.EACCES: "check the permissions",
    errno.EPERM: "check the permissions",
    errno.EROFS: "choose a folder that can be written",
    errno.EISDIR: "name a file, not a folder",
    errno.EEXIST: "choose another name, or remove what is there",
    errno.ENOTDIR: "name a folder, not a file",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "a link in it leads back to itself; remove the link",
    errno.EMFILE: "too few files may be open at a time; raise ulimit -n, or lower the number of workers",
    errno.ENFILE: "too many files are open on this machine; end other programs",
    errno.ENOSPC: "free some disk space and run the same command again: it goes on where it stopped",
    errno.EFBIG: "the file system or a limit (ulimit -f) takes no larger file; raise it or write elsewhere",
    errno.EDQUOT: "free some of your quota and run the same command again: it goes on where it stopped",
}
