"""What a user's mistake looks like: one line, exit code 2."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable


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
        print(f"error: {error}", file=sys.stderr)
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
        print(f"error: {place}{error.strerror}; {_OS_ERRORS_OF_USERS[error.errno]}", file=sys.stderr)
        return 2


_OS_ERRORS_OF_USERS: dict[int | None, str] = {
    errno.ENOENT: "check the path",
    errno.EACCES: "check the permissions",
    errno.EPERM: "check the permissions",
    errno.EROFS: "choose a folder that can be written",
    errno.EISDIR: "name a file, not a folder",
    errno.EEXIST: "choose another name, or remove what is there",
    errno.ENOTDIR: "name a folder, not a file",
    errno.ENOSPC: "free some disk space and run the same command again: it goes on where it stopped",
    errno.EFBIG: "the file system or a limit (ulimit -f) takes no larger file; raise it or write elsewhere",
    errno.EDQUOT: "free some of your quota and run the same command again: it goes on where it stopped",
}
