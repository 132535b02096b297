"""Paths and URLs alike: memory:// and local:// stand for a cloud."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pcdet_poly.errors import UserError, run_command
from pcdet_poly.files import atomic_path, write_json
from pcdet_poly.paths import AnyPath, RemotePath, find_matches, get_num_bytes, list_files_below, parse_path, read_range

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory() -> Iterator[RemotePath]:
    yield RemotePath("memory://places")
    fsspec.filesystem("memory").store.clear()


@pytest.fixture(params=["path", "file", "local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, memory: RemotePath) -> AnyPath:
    """The same empty folder by each kind of name."""
    names = {"path": str(tmp_path), "file": f"file://{tmp_path}", "local": f"local://{tmp_path}", "memory": memory.url}
    return parse_path(names[request.param])


def write(path: AnyPath, data: bytes) -> AnyPath:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return path


def test_names() -> None:
    path = parse_path("gs://bucket/a/b.tar.gz/")
    assert isinstance(path, RemotePath)
    assert (str(path), path.name, path.stem, path.suffix) == ("gs://bucket/a/b.tar.gz", "b.tar.gz", "b.tar", ".gz")
    assert path.parent / "c" == parse_path("gs://bucket/a/c")
    assert parse_path(path) is path
    assert parse_path("file:///a/b") == parse_path("/a/b") == Path("/a/b")
    assert pickle.loads(pickle.dumps(path)) == path


def test_files_come_and_go(folder: AnyPath) -> None:
    path = write(folder / "deep" / "a.bin", b"0123456789")
    assert path.is_file()
    assert (folder / "deep").is_dir()
    assert not (folder / "deep" / "b").is_file()
    assert not (folder / "other").is_dir()
    assert get_num_bytes(path) == 10
    assert path.read_bytes() == b"0123456789"
    assert read_range(path, 3, 6) == b"345"
    assert read_range(path, 8, 20) == b"89"
    with path.open("rb") as file:
        file.seek(4)
        assert file.read(3) == b"456"
    write(path, b"new")
    assert path.read_bytes() == b"new"
    path.unlink()
    path.unlink(missing_ok=True)
    assert not path.is_file()


def test_finding_files(folder: AnyPath) -> None:
    found = [write(folder / "x" / name, b"") for name in ("1.a", "2.a", "3.b")]
    deep = write(folder / "x" / "y" / "4.a", b"")
    assert sorted(list_files_below(folder / "x")) == sorted([*found, deep])
    assert sorted(find_matches(folder / "x" / "*.a")) == found[:2]
    assert sorted(find_matches(folder / "**" / "*.a")) == sorted([*found[:2], deep])
    assert find_matches(folder / "*.c") == []
    assert list_files_below(folder / "nothing") == []


def test_brackets_in_a_folder_s_name_are_not_a_pattern(tmp_path: Path) -> None:
    expected = write(tmp_path / "a[1] b" / "[2].a", b"")
    assert find_matches(tmp_path / "a[1] b" / "*.a") == [expected]
    assert find_matches(tmp_path / "*" / "*.a") == [expected]
    assert find_matches(expected) == [expected]
    assert find_matches(tmp_path / "nothing" / "*.a") == []


def test_an_error_uploads_nothing(folder: AnyPath) -> None:
    def write_half() -> None:
        with atomic_path(folder / "a") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list_files_below(folder) == []


def test_json(memory: RemotePath) -> None:
    write_json(memory / "a.json", {"x": 1})
    assert (memory / "a.json").read_bytes() == b'{\n  "x": 1\n}\n'


def test_a_missing_file_is_one_line(memory: RemotePath, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: (memory / "none").read_bytes() and 0) == 2
    assert capsys.readouterr().err == "error: memory://places/none: No such file or directory; check the path\n"


def test_trouble_with_the_storage_is_one_line(memory: RemotePath, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise RuntimeError("no credentials found\nlong story")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.cat_file", refuse)
    says = (
        r"^memory://places/a: RuntimeError: no credentials found; check the address, the network and your credentials$"
    )
    with pytest.raises(UserError, match=says):
        (memory / "a").read_bytes()


def test_unknown_addresses_are_told(memory: RemotePath) -> None:
    with pytest.raises(UserError, match="nosuch://a: Protocol not known: nosuch; use gs://"):
        RemotePath("nosuch://a").is_file()


@pytest.mark.parametrize(("url", "packages"), [("gs://b/a", "fsspec gcsfs"), ("s3://b/a", "fsspec s3fs")])
def test_a_missing_fsspec_is_told(url: str, packages: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UserError, match=f"^{url}: names with :// need fsspec; run: pip install {packages}$"):
        RemotePath(url).is_file()


@pytest.mark.parametrize(("url", "package"), [("gs://b/a", "gcsfs"), ("s3://b/a", "s3fs")])
def test_a_missing_cloud_library_is_told(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"^{url}: a library .* is missing; run: pip install {package}$"):
        RemotePath(url).is_file()
