"""Inputs at a location: an S3 server gives the same accounts as files on this machine."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs, parquet

import txfast
from tests.support import replays
from tests.support.command import ACCOUNTS, COMMAND, FILE, PATIENCE_SECONDS, Folder, environment, unmeasured
from tests.support.engines import run_cluster, run_ranges
from tests.support.reference import HEADER
from txfast.errors import SourceError
from txfast.input import location
from txfast.input.location import display_location
from txfast.input.ref import is_location

BUCKET = "transactions"
# Prints its address, and ends when its standard input is closed: at the latest when the tests end.
SERVER = """\
import sys
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), sep=":", flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    pipe = subprocess.PIPE
    # The server is neither measured for coverage nor under a sanitizer.
    variables = {name: text for name, text in unmeasured(environment()).items() if name != "LD_PRELOAD"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], env=variables, stdin=pipe, stdout=pipe,
        stderr=subprocess.DEVNULL, text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        yield server.stdout.readline().strip()


@pytest.fixture(scope="module")
def bucket(endpoint: str) -> fs.SubTreeFileSystem:
    s3 = fs.S3FileSystem(
        endpoint_override=endpoint, scheme="http", access_key="us", secret_key="hidden", region="us-east-1",
        # The server's first answer takes a while.
        allow_bucket_creation=True, connect_timeout=60, request_timeout=60,
    )  # fmt: skip
    s3.create_dir(BUCKET)
    return fs.SubTreeFileSystem(BUCKET, s3)


@pytest.fixture
def variables(endpoint: str) -> Mapping[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://{endpoint}", "AWS_ACCESS_KEY_ID": "us", "AWS_SECRET_ACCESS_KEY": "hidden",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip


def put(bucket: fs.SubTreeFileSystem, name: str, content: bytes) -> str:
    with bucket.open_output_stream(name, compression=None) as file:
        file.write(content)
    return f"s3://{BUCKET}/{name}"


def contents(folder: Folder) -> dict[str, bytes]:
    """The same transactions as a file of each format, by name."""
    table = pa.Table.from_batches(txfast.read(folder.write("typed.csv", FILE.replace(b"fee,1,3,1\n", b""))))
    found = {"in.csv": FILE}
    for suffix, codec in (("gz", "gzip"), ("zst", "zstd")):
        found[f"in.csv.{suffix}"] = pa.Codec(codec).compress(FILE, asbytes=True)
    parquet.write_table(table, folder.path / "in.parquet", row_group_size=3)
    for suffix, new in (("arrow", pa.ipc.new_file), ("arrows", pa.ipc.new_stream)):
        with new(str(folder.path / f"in.{suffix}"), table.schema) as writer:
            writer.write_table(table)
    for suffix in ("parquet", "arrow", "arrows"):
        found[f"in.{suffix}"] = (folder.path / f"in.{suffix}").read_bytes()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("reader", replays.READERS)
def test_a_file_at_a_location_gives_the_results_of_a_file_here(
    folder: Folder, bucket: fs.SubTreeFileSystem, variables: Mapping[str, str], reader: str
) -> None:
    for name, content in contents(folder).items():
        folder.write(name, content)
        here = folder.run("-q", name, "--rejects", "here.csv", "--reader", reader)
        there = folder.run(
            "-q", put(bucket, name, content), "--rejects", "there.csv", "--reader", reader, variables=variables
        )
        assert (there.exit_code, there.errors) == (0, "")
        assert there.output == here.output
        theirs = (folder.path / "there.csv").read_bytes()
        assert theirs.replace(f"s3://{BUCKET}/".encode(), b"") == (folder.path / "here.csv").read_bytes()


def test_a_long_file_is_read_to_its_end(
    bucket: fs.SubTreeFileSystem, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(location, "READ_AHEAD_BYTES", 1 << 20)
    rows = b"".join(b"deposit,%d,%d,1.25\n" % (row % 1000, row) for row in range(200_000))
    put(bucket, "long.csv", HEADER + rows)
    options = f"region=us-east-1&scheme=http&endpoint_override={endpoint}"
    for threads in replays.THREADS:
        result = txfast.process(f"s3://us:hidden@{BUCKET}/long.csv?{options}", threads=threads)
        assert result.stats["rows"] == 200_000
        assert result.stats["total"] == "250000.0000"
        # No secret is shown.
        figures = result.stats["inputs"]
        assert figures == [{"file": f"s3://{BUCKET}/long.csv", "bytes": len(HEADER + rows), "rows": 200_000}]


def test_a_location_may_be_a_file_here(folder: Folder) -> None:
    for name, content in contents(folder).items():
        path = folder.write(name, content)
        here, there = folder.run("-q", name), folder.run("-q", path.as_uri())
        assert (there.exit_code, there.errors, there.output) == (0, "", here.output)


def test_a_file_at_a_location_is_cut_into_ranges(
    bucket: fs.SubTreeFileSystem, endpoint: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(location, "READ_AHEAD_BYTES", 1000)
    rows = b"".join(b"deposit,%d,%d,1.25\r\n" % (row % 7, row % 190) for row in range(200))
    put(bucket, "ranges.csv", HEADER + rows)
    options = f"region=us-east-1&scheme=http&endpoint_override={endpoint}"
    there = run_ranges([f"s3://us:hidden@{BUCKET}/ranges.csv?{options}"], 2, 700)
    here = run_ranges([str(folder.write("ranges.csv", HEADER + rows))], 2, 700)
    assert there.accounts == here.accounts
    name = str(folder.path / "ranges.csv").encode()
    assert there.rejects.replace(f"s3://{BUCKET}/ranges.csv".encode(), name) == here.rejects
    assert there.stats["ranges"] == here.stats["ranges"]


def test_a_state_on_a_cluster_recognises_a_file_at_a_location(
    bucket: fs.SubTreeFileSystem, endpoint: str, tmp_path: Path
) -> None:
    rows = b"".join(b"deposit,%d,%d,1.25\r\n" % (row % 7, row % 190) for row in range(200))
    options = f"region=us-east-1&scheme=http&endpoint_override={endpoint}"
    table = pa.BufferOutputStream()
    parquet.write_table(pa.table({"type": ["deposit"], "client": [1], "tx": [999], "amount": ["5"]}), table)
    contents = {"day.csv": HEADER + rows, "day.csv.gz": gzip.compress(HEADER + rows), "day.parquet": table.getvalue()}
    for name, content in contents.items():
        put(bucket, name, bytes(content))
    uris = [f"s3://us:hidden@{BUCKET}/{name}?{options}" for name in contents]
    state = tmp_path / "state"
    for read in (401, 0):
        assert run_cluster(*uris, range_bytes=700, state=str(state)).stats["rows"] == read
    put(bucket, "day.csv", HEADER + rows + b"deposit,1,1000,5\r\n")
    assert run_cluster(*uris, range_bytes=700, state=str(state)).stats["rows"] == 1
    put(bucket, "day.csv", HEADER + rows.replace(b"deposit,1,1,", b"deposit,1,5000,", 1))
    assert run_cluster(*uris, range_bytes=700, state=str(state)).stats["rows"] == 200
    text = (state / "snapshot-3" / "manifest.json").read_text()
    assert f'"s3://{BUCKET}/day.csv?' in text
    assert "hidden" not in text


def test_a_missing_file_or_bucket_fails_the_run_in_one_line(
    folder: Folder, bucket: fs.SubTreeFileSystem, variables: Mapping[str, str]
) -> None:
    put(bucket, "there.csv", FILE)
    folder.run(f"s3://{BUCKET}/missing.csv", variables=variables).assert_failed(
        f"s3://{BUCKET}/missing.csv: cannot be read"
    )
    folder.run("s3://nobodys-bucket/in.csv", variables=variables).assert_failed("s3://nobodys-bucket/in.csv")


def test_an_unknown_scheme_fails_the_run(folder: Folder) -> None:
    folder.run("gopher://host/in.csv").assert_failed("gopher://host/in.csv: cannot be read", "gopher")
    with pytest.raises(SourceError, match="no-such-scheme://"):
        txfast.process("no-such-scheme://in.csv")


def test_a_location_needs_memory_and_is_neither_followed_nor_written(folder: Folder) -> None:
    folder.run("s3://b/in.csv", "--memory-limit", "128MiB").assert_misused("a remote input", "256MiB")
    folder.run("s3://u:secret@b/in.csv", "--state", "state").assert_misused("--state", "s3://b/in.csv is elsewhere")
    for option, suffix in (("--output", "csv"), ("--rejects", "csv"), ("--stats", "json")):
        run = folder.run("in.csv", option, f"s3://u:sec/ret@b/x.{suffix}")
        run.assert_misused(f"{option} goes to a file here: s3://b/x.{suffix} is elsewhere")
        assert "sec/ret" not in run.errors


def test_messages_about_a_location_show_no_secrets(folder: Folder) -> None:
    for uri in ("gopher://key:sec/ret@host/in.csv", "s3://key:sec/ret@b/\udcff"):
        run = folder.run(uri)
        run.assert_failed("cannot be read")
        assert "ret@" not in run.errors


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIA%3ASECRETX%40b/x", "s3://AKIA%3aSECRETX%40b/x?region=y", " s3://AKIA:SECRETX@b/x",
        "s3:AKIA:SECRETX@b/x", "S3:AKIA:SECRETX@b/x", "s3://AKIA:SECRETX@b/x", "S3://AKIA:SECRETX@b/x",
        "http://AKIA:SECRETX@b/x",
    ],
)  # fmt: skip
def test_a_mistyped_location_shows_no_secrets(folder: Folder, uri: str) -> None:
    for arguments in ((uri,), (uri, "trace"), (uri, "in.csv"), ("in.csv", uri, "--state", "state")):
        run = folder.run(*arguments)
        assert run.exit_code in (1, 2)
        assert "SECRETX" not in run.errors
    with pytest.raises(SourceError) as raised:
        txfast.process(uri)
    assert "SECRETX" not in f"{raised.value}{raised.value.filename}"


@pytest.mark.parametrize(
    ("uri", "way_out"),
    [
        ("http://host/in.csv", "no file system is called http: download it, and read the file: curl"),
        ("S3://b/in.csv", "no file system is called S3: write its scheme in small letters, s3://"),
        ("kafka://host/topic", "no file system is called kafka: copy it to this machine; locations begin with s3://"),
    ],
)
def test_a_scheme_that_is_none_says_what_to_do(folder: Folder, uri: str, way_out: str) -> None:
    folder.run(uri).assert_failed(f"{uri}: cannot be read: {way_out}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, -signal.SIGINT)])
@pytest.mark.parametrize("more", [(), ("in.csv",)], ids=["alone", "among others"])
def test_a_signal_ends_a_run_that_waits_for_a_location(
    folder: Folder, number: signal.Signals, code: int, more: tuple[str, ...]
) -> None:
    """Nobody answers: Google's library asks again for many minutes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
        uri = f"gs://anonymous@b/in.csv?endpoint_override={endpoint}&scheme=http"
        variables = unmeasured(environment())
        with subprocess.Popen([COMMAND, uri, *more], cwd=folder.path, env=variables, stderr=subprocess.PIPE) as process:
            server.settimeout(PATIENCE_SECONDS)
            connection, _ = server.accept()
            try:
                process.send_signal(number)
                assert process.wait(PATIENCE_SECONDS / 4) == code
            finally:
                connection.close()
                process.kill()


def test_a_location_given_as_a_pathlib_path_is_read(
    bucket: fs.SubTreeFileSystem, variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    put(bucket, "path.csv", FILE)
    assert len(txfast.process(Path(f"s3://{BUCKET}/path.csv")).accounts) == 1


def test_a_file_here_may_have_a_name_like_a_location(folder: Folder) -> None:
    (folder.path / "s3:" / "b").mkdir(parents=True)
    folder.write("s3:/b/in.csv", FILE)
    expected = folder.run("-q", "in.csv").output
    assert folder.run("-q", "s3://b/in.csv").output == expected


def test_all_locations_are_looked_at_before_the_first_row(
    folder: Folder, bucket: fs.SubTreeFileSystem, variables: Mapping[str, str]
) -> None:
    names = [put(bucket, f"looked-{number}.csv", FILE) for number in range(3)]
    missing = f"s3://{BUCKET}/looked-missing.csv"
    book = put(bucket, "book", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    folder.run("in.csv", *names, missing, names[0], variables=variables).assert_failed(missing)
    folder.run("in.csv", *names, book, variables=variables).assert_failed(f"{book}: an Excel workbook")
    assert folder.run("-q", *names, variables=variables).output == ACCOUNTS


def test_an_input_with_layers_at_a_location_is_read(
    folder: Folder, bucket: fs.SubTreeFileSystem, variables: Mapping[str, str]
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("in.csv", FILE)
    contents = {
        "zip": archive.getvalue(),
        "gz": gzip.compress(archive.getvalue()),
        "utf16": FILE.decode().encode("utf-16"),
    }
    for suffix, content in contents.items():
        name = put(bucket, f"layered.{suffix}", content)
        run = folder.run("-q", name, variables=variables)
        assert (run.output, run.errors) == (ACCOUNTS, "")


@pytest.mark.parametrize("scheme", ["abfs", "abfss"])
def test_azure_without_credentials_is_one_line(folder: Folder, scheme: str) -> None:
    """Its library ends the process that opens such a location."""
    variables = {"PATH": str(folder.path), "AZURE_TENANT_ID": "", "HOME": str(folder.path)}
    uri = f"{scheme}://box:secret@account.dfs.core.windows.net/in.csv"
    run = folder.run(uri, variables=variables)
    run.assert_failed(f"{scheme}://account.dfs.core.windows.net/in.csv: cannot be read: Azure", "AZURE_CLIENT_ID")
    assert "secret" not in run.errors
    folder.run("in.csv", uri, variables=variables).assert_failed("Azure")


def test_azure_is_tried_once_for_each_container(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def run(*_: object, input: str, **__: object) -> subprocess.CompletedProcess[str]:  # noqa: A002
        tried.append(json.loads(input)[1])
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(location, "TRIED_CONTAINERS", set())
    for name in ("a@x/1.csv", "a@x/2.csv", "b@x/1.csv"):
        location.try_azure(f"abfs://{name}", f"abfs://{name}")
    assert tried == ["abfs://a@x/1.csv", "abfs://b@x/1.csv"]


def test_a_location_is_shown_without_secrets() -> None:
    for uri, shown in (
        ("s3://bucket/a/b.csv", "s3://bucket/a/b.csv"), ("s3://key:secret@bucket/a.csv?region=x", "s3://bucket/a.csv"),
        ("hdfs://user@host:8020/a", "hdfs://host:8020/a"), ("s3://k:a@b@bucket", "s3://bucket"),
        ("s3://AKIA:abc/de+F@bucket/a.csv?x=y@z", "s3://…"), ("s3:/k:s@bucket/a", "s3://bucket/a"),
        ("s3://bucket/a@b.csv", "s3://bucket/a@b.csv"), ("s3://K%3AS%40b/x", "s3://…"),
    ):  # fmt: skip
        assert display_location(uri) == shown
    assert is_location("s3://b/a")
    assert not is_location("a:b")
    assert not is_location(os.devnull)
