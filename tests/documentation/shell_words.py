"""The words that bash and an interactive zsh make of lines that are pasted into them. Nothing is run."""

from __future__ import annotations

import subprocess
from pathlib import Path

# No program is found, and the shell hands the words of each command to this function, which notes them.
_BASH = "command_not_found_handle() { printf '%s\\0' \"$@\" '' >&3; }\nPATH=/nowhere\n"
_ZSH = "command_not_found_handler() { print -rN -- \"$@\" '' >&3 }\npath=()\n"
# As at a terminal: zsh takes `#` for a word there. -f, --norc: without anybody's settings.
_SHELLS = {
    "bash": (["bash", "--noprofile", "--norc", "-s"], _BASH),
    "zsh": (["zsh", "-f", "-i", "-s"], _ZSH),
}


def read_words(shell: str, lines: str, folder: Path) -> list[list[str]]:
    """Return the words of each command in `lines`.

    Args:
        shell: "bash" or "zsh".
        lines: what is pasted.
        folder: the current folder and the home, where patterns of file names are looked up.

    Returns:
        A list of words per command; builtins of the shell are run and not among them.
    """
    command, before = _SHELLS[shell]
    noted = folder / f"words.{shell}"
    environment = {"HOME": str(folder), "PS1": "", "PS2": "", "TERM": "dumb", "WORDS": str(noted)}
    done = subprocess.run(
        command,
        input='exec 3>"$WORDS"\n' + before + lines + "\n",
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=3600,
        start_new_session=True,  # without the terminal of whoever runs the tests, which zsh would take over
    )
    for wrong in ("error near", "no matches found", "unexpected", "No such file", "no such file", "not found"):
        assert wrong not in done.stderr, f"{shell}: {done.stderr}\n{lines}"
    return [words.split("\0") for words in noted.read_text().split("\0\0") if words]
