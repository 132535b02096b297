"""S3's own protocol, by s3fs against a local server that speaks it. Needs `pip install s3fs "moto[server]"`.

What is behind any URL is tested in test_remote.py, in memory; here are the wire, its errors, and other processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from pcdet_poly.data.convert.from_waymo import convert_waymo
from pcdet_poly.data.store.frame_store import Store
from tests.data.frames import assert_same_frame
from tests.data.records import bytes_of, run, tool, without_places, write_segment_records

s3fs = pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server whose one bucket, "waymo", holds two segments below "records"."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield server
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()  # buckets are of the process
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def records(server: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "records"
    for segment in ("a", "b"):
        write_segment_records(folder, segment, 3)
    files = s3fs.S3FileSystem()
    files.mkdir("waymo")
    files.put(f"{folder}/", "waymo/records/", recursive=True)
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_a_store_in_a_bucket_is_the_local_one(workers: int, records: Path, tmp_path: Path) -> None:
    convert_waymo([str(records)], tmp_path / "store")
    convert_waymo(["s3://waymo/records"], "s3://waymo/store", workers=workers)
    files = s3fs.S3FileSystem()
    stored = {name.rpartition("/")[2]: files.cat_file(name) for name in files.find("waymo/store")}
    assert without_places(stored) == without_places(bytes_of(tmp_path / "store"))
    assert_same_frame(Store(tmp_path / "store")[4], Store("s3://waymo/store")[4])
    assert convert_waymo(["s3://waymo/records"], "s3://waymo/store", workers=workers).num_kept == 2


def test_what_is_not_there_is_one_line(records: Path, tmp_path: Path) -> None:
    nowhere = run(tool("preprocess_waymo", "s3://nowhere/records", "--output", tmp_path / "store"), exit_code=2)
    assert "s3://nowhere/records: no TFRecord file there" in nowhere.stderr
    os.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"  # the port of "discard"; the fixture restores it
    silent = run(tool("preprocess_waymo", "s3://waymo/records", "--output", tmp_path / "store"), exit_code=2)
    assert "check the address, the network and your credentials" in silent.stderr
