"""Names of segments, runs and settings -> names of files and folders."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

MOST_BYTES = 200  # of a name; systems take 255, of which temporary files and endings need some
_KEPT = 150  # characters of a name that is too long, before its checksum
_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


def encode_file_name(name: str) -> str:
    """Return the name of a file for any text; two texts never get the same one.

    Letters, digits and _.-~ stay; everything else is percent-encoded, as in a URL, and so is a dot in front, which
    would hide the file, and the first letter of what Windows takes for a device. A name that gets too long for a file
    is cut and ends in its SHA-256.
    """
    encoded = quote(name, safe="", errors="surrogatepass")
    if not encoded:
        return "%"  # of no other text
    if encoded.startswith(".") or _WINDOWS_DEVICE.match(encoded):
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded) <= MOST_BYTES:
        return encoded
    return f"{encoded[:_KEPT]}-{hashlib.sha256(encoded.encode()).hexdigest()[:32]}"


def simplify_file_name(text: str, *, longest: int = 80) -> str:
    """Return a readable name of a file or folder; different texts may get the same one.

    Args:
        text: what the name is to say.
        longest: characters, from which on it is cut and ends in a checksum.
    """
    name = re.sub(r"[^\w.=+,-]", "_", text)
    if len(name) > longest:
        name = f"{name[:longest].lstrip('.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name.lstrip(".") or "other"


def check_file_name(name: str) -> None:
    """Raise ValueError, which says why, unless `name` can be that of a file or folder on every system."""
    if not name:
        raise ValueError("a name needed")
    if re.search(r"[/\\]", name) or name in (".", ".."):
        raise ValueError("a name, not a path, needed")
    if re.search(r'[\x00-\x1f\x7f<>:"|?*\ud800-\udfff]', name):
        raise ValueError('a name without control characters and without < > : " | ? * needed')
    if name[0] == "." or name[-1] in ". ":
        raise ValueError("a name that neither begins with a dot nor ends with a dot or a space needed")
    if _WINDOWS_DEVICE.match(name):
        raise ValueError("a name that Windows does not take for a device needed")
    if len(name.encode()) > MOST_BYTES:
        raise ValueError(f"a name of at most {MOST_BYTES} bytes needed")
