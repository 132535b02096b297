"""What a user's mistake looks like: one line, exit code 2."""

from __future__ import annotations

import difflib
import errno
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path


class UserError(ValueError):
    """Something the user can mend. The message is one line: the place, the value, what to do next."""


def run_command(main: Callable[[], int | None]) -> int:
    """Run a command line's `main` and turn its end into an exit code.

    0 or what `main` returns; 2 with one line on stderr for a `UserError`, a missing file, a
    permission or a full disk; 130 after Ctrl-C. Anything else is a bug and keeps its traceback.
    """
    try:
        return main() or 0
    except UserError as error:
        print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing half-written was kept; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone: keep Python from complaining once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in _OS_ERRORS_OF_USERS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        nearest = suggest_path(error.filename) if error.errno == errno.ENOENT and error.filename else ""
        advice = nearest or f"; {_OS_ERRORS_OF_USERS[error.errno]}"
        print(f"error: {place}{error.strerror}{advice}", file=sys.stderr)
        return 2


def suggest_word(word: str, words: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" with the nearest of `words`, or an empty text where none is near."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def suggest_path(path: str | Path) -> str:
    """Return "; did you mean 'x'?" with the file or folder whose name is nearest to `path`, which does not exist."""
    path = Path(os.fsdecode(path))
    missing = next((part for part in [path, *path.parents] if part.parent.is_dir() and not part.exists()), None)
    if missing is None:
        return ""
    try:
        names = os.listdir(missing.parent)
    except OSError:
        return ""
    close = difflib.get_close_matches(missing.name, names, n=1, cutoff=0.6)
    return f"; did you mean {str(missing.parent / close[0])!r}?" if close else ""


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
