"""Files and folders by path or by URL, alike."""

from __future__ import annotations

import errno
import glob
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pcdet_poly.errors import UserError

_PACKAGES = {"gs": "gcsfs", "gcs": "gcsfs", "s3": "s3fs", "az": "adlfs", "abfs": "adlfs"}
_OWN_ERRORS = (UserError, FileNotFoundError, PermissionError)


@dataclass(frozen=True, order=True)
class RemotePath:
    """A file or folder behind a URL (gs://, s3://, memory://, ...), with the part of pathlib's interface used here.

    fsspec does the work. Names can go to other processes; each of them opens the file system itself.
    """

    url: str  # without a slash at its end

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """Return the last part."""
        return self.url.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """Return the last part without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """Return the last part's ending, with the dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> RemotePath:
        """Return the folder it is in."""
        return RemotePath(self.url.rpartition("/")[0])

    def is_file(self) -> bool:
        """Return whether a file is there."""
        with self._open_file_system() as (files, path):
            return bool(files.isfile(path))

    def is_dir(self) -> bool:
        """Return whether anything is below it: object stores have no other folders."""
        with self._open_file_system() as (files, path):
            return bool(files.isdir(path))

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Open the file as a stream that is fetched block by block."""
        with self._open_file_system() as (files, path):
            opened: IO[bytes] = files.open(path, mode)
            return opened

    def read_bytes(self, start: int | None = None, end: int | None = None) -> bytes:
        """Read the file, or its bytes from `start` to before `end`, in one request."""
        with self._open_file_system() as (files, path):
            return bytes(files.cat_file(path, start=start, end=end))

    def get_num_bytes(self) -> int:
        """Return the size of a file."""
        with self._open_file_system() as (files, path):
            return int(files.size(path))

    def upload(self, local: Path) -> None:
        """Put a local file here. Object stores show the old object or the new one, never a part."""
        with self._open_file_system() as (files, path):
            try:
                files.put_file(str(local), path)
            except FileNotFoundError:  # where folders exist at all, they must be made
                files.makedirs(path.rpartition("/")[0], exist_ok=True)
                files.put_file(str(local), path)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        with self._open_file_system() as (files, path):
            if not missing_ok or files.exists(path):
                files.rm_file(path)

    def list_files(self) -> list[RemotePath]:
        """Return all files at any depth."""
        with self._open_file_system() as (files, path):
            return [self._restore_url(name) for name in files.find(path)]

    def find_matches(self) -> list[RemotePath]:
        """Return the files and folders that fit `pattern`; ** stands for any folders."""
        with self._open_file_system() as (files, path):
            return [self._restore_url(name) for name in files.glob(path)]

    def _restore_url(self, name: str) -> RemotePath:
        """Return the URL of a name that the file system gave.

        Some file systems put a slash in front of all of their names.
        """
        protocol, _, rest = self.url.partition("://")
        return RemotePath(f"{protocol}://{name if rest.startswith('/') else name.lstrip('/')}")

    @contextmanager
    def _open_file_system(self) -> Iterator[tuple[Any, str]]:
        """Yield the file system (fsspec keeps one per process) and the path in it; its errors become one line."""
        try:
            yield _find_file_system(self.url)
        except (FileNotFoundError, PermissionError) as error:  # often without a number or a name
            number = errno.ENOENT if isinstance(error, FileNotFoundError) else errno.EACCES
            raise type(error)(number, os.strerror(number), self.url) from error
        except _OWN_ERRORS:
            raise
        except Exception as error:  # every storage library has its own kinds
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"{self.url}: {type(error).__name__}: {reason}; check the address, the network and your credentials"
            ) from error


AnyPath = Path | RemotePath


def parse_path(name: str | AnyPath) -> AnyPath:
    """Return the RemotePath of a URL, and the Path of any other name.

    file:// stands for a path, and `~` for the home folder.
    """
    if isinstance(name, RemotePath):
        return name
    text = str(name)
    if "://" not in text or text[1:4] == "://":  # no kind of URL has a name of one letter, and a drive has
        return Path(os.path.expanduser(text))
    if text.startswith("file://"):
        path = text.removeprefix("file://")
        return Path(path[1:] if sys.platform == "win32" and re.match("/[A-Za-z]:", path) else path)  # /C:/data
    return RemotePath(text.rstrip("/"))


def get_num_bytes(path: AnyPath) -> int:
    """Return the size of a file."""
    return path.stat().st_size if isinstance(path, Path) else path.get_num_bytes()


def read_range(path: AnyPath, start: int, end: int) -> bytes:
    """Read the bytes of a file from `start` to before `end`; fewer where it ends earlier.

    Args:
        path: the file, here or behind a URL.
        start: position of the first byte, from 0.
        end: position after the last byte.
    """
    if isinstance(path, RemotePath):
        return path.read_bytes(start, end)
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(end - start)


def list_files_below(folder: AnyPath) -> list[AnyPath]:
    """Return all files in `folder`, at any depth."""
    if isinstance(folder, RemotePath):
        return list(folder.list_files())
    return [path for path in folder.rglob("*") if path.is_file()]


def find_matches(pattern: AnyPath) -> list[AnyPath]:
    """Return the files and folders that fit `pattern`; ** stands for any folders.

    Here a folder that exists is taken by its name, though it may hold brackets: `runs[1]/*.tfrecord`.
    """
    if isinstance(pattern, RemotePath):
        return list(pattern.find_matches())
    if pattern.exists():
        return [pattern]
    folder = next((parent for parent in pattern.parents if parent.exists()), Path())
    rest = str(pattern.relative_to(folder))
    return [folder / match for match in glob.glob(rest, root_dir=folder, recursive=True)]


def _find_file_system(url: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        wanted = " ".join(["fsspec", *_list_packages(url)])
        raise UserError(f"{url}: names with :// need fsspec; run: pip install {wanted}") from error
    try:
        # Listings are not kept: other processes and machines write into the same folders.
        return fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        wanted = " ".join(_list_packages(url)) or str(error)
        raise UserError(f"{url}: a library for this kind of address is missing; run: pip install {wanted}") from error
    except ValueError as error:
        raise UserError(f"{url}: {error}; use gs://, s3://, file:// or a path") from error


def _list_packages(url: str) -> list[str]:
    protocol = url.partition("://")[0]
    return [_PACKAGES[protocol]] if protocol in _PACKAGES else []
