"""Runs with a state directory, and inputs that grow from one run to the next."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import replays
from tests.support.command import Folder
from tests.support.project import PROJECT_ROOT
from tests.support.reference import HEADER
from tests.support.replays import Outcome, RejectsJournal, outcome_of
from tests.support.segments import page_start
from txfast.dialect.dialect import Dialect
from txfast.input.ref import resolve
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy
from txfast.run.replay import Replay
from txfast.run.values import policy as parse_policy
from txfast.state import manifest
from txfast.state.dialects import fields_of_dialect, text_ids_of
from txfast.state.directory import StateDirectory
from txfast.state.manifest_writer import save_store
from txfast.state.policies import fields_of_policy
from txfast.state.store import Store
from txfast.store.active import ActiveAccounts

STATE = ("--state", "state")
# States that earlier versions have saved: tests/state/test_old_formats.py.
OLD = PROJECT_ROOT / "tests" / "state" / "old"
FIRST = HEADER + b"deposit,1,1,5\ndeposit,2,2,7\ndispute,2,2\n"
MORE = b"withdrawal,1,3,2\nfee,1,4,1\nresolve,2,2\nwithdrawal,1,5,99\n"

# By name: the first content of an input, the bytes appended to it, and the number of rows that a second run reads
# (None: the second run fails).
GROWN = {
    "nothing added": (FIRST, b"", 0),
    "rows": (FIRST, MORE, 4),
    "CR LF": (FIRST.replace(b"\n", b"\r\n"), MORE.replace(b"\n", b"\r\n"), 4),
    "CR": (FIRST.replace(b"\n", b"\r"), MORE.replace(b"\n", b"\r"), 4),
    "CR, then LF": (FIRST.replace(b"\n", b"\r"), b"\n" + MORE, 4),
    "CR, then LF alone": (FIRST.replace(b"\n", b"\r"), b"\n", 0),
    "no ending, then LF": (FIRST[:-1], b"\n" + MORE, 4),
    "no ending, then CR LF": (FIRST[:-1], b"\r\n" + MORE, 4),
    "no ending, then CR": (FIRST[:-1], b"\r" + MORE, 4),
    "no ending, then LF alone": (FIRST[:-1], b"\n", 0),
    "no ending, then CR alone": (FIRST[:-1], b"\r", 0),
    "no ending, nothing added": (FIRST[:-1], b"", 0),
    "no ending, then more of the row": (FIRST[:-1], b"5\n" + MORE, None),
    "no ending, then a blank": (FIRST[:-1], b" \n" + MORE, None),
    "a blank rest, then a row": (FIRST + b" \t", MORE, 4),
    "a blank rest, then an ending": (FIRST + b" \t", b"\n" + MORE, 4),
    "the header alone": (HEADER, MORE, 4),
    "the header without its ending": (HEADER[:-1], b"\n" + MORE, 4),
    "the header, which goes on": (HEADER[:-1], b",note\n" + MORE, None),
    "a byte order mark": (b"\xef\xbb\xbf" + FIRST, MORE, 4),
    "blank lines around the header": (b"\n \n" + HEADER + b"\n\n", b"\n" + MORE, 4),
}  # fmt: skip

NOTED = HEADER[:-1] + b",note\ndeposit,1,1,5,a note\n"
LONG_OPEN = NOTED + b"deposit,1,2,5," + (b'"' + b"x" * (1 << 19) + b'",') * 3 + b'"a\nb\n'
# The same for inputs that end in a quoted field that is not closed.
LEFT_OPEN = {
    "nothing added": (NOTED + b'deposit,1,2,5,"a\n', b"", 0),
    "closed": (NOTED + b'deposit,1,2,5,"a\ndeposit,1,3,1\n', b'b"\ndeposit,1,4,1\n', None),
    "closed at the end": (NOTED + b'deposit,1,2,5,"a\n', b'b" ', None),
    "closed with doubled quotes": (NOTED + b'deposit,1,2,5,"a\n', b'say ""b"" twice",\n', None),
    "closed, CR LF": (NOTED + b'deposit,1,2,5,"a\r\n', b'b"\r\n', None),
    "closed, CR": (NOTED + b'deposit,1,2,5,"a\r', b'\nb"\n', None),
    "closed in a line without its ending": (NOTED + b'deposit,1,2,5,"a', b'\nb"\n', None),
    "closed, after a blank rest": (NOTED + b'deposit,1,2,5,"a\n \t', b'b"\n', None),
    "rows": (NOTED + b'deposit,1,2,5,"a\n', b'deposit,1,3,1,x\n"",deposit,1,2\n', 2),
    "bad, rows": (NOTED + b'deposit,1,2,5,"a\n', b'deposit,1,3,1,"x"\ndeposit,1,4,1,"y"\n', 2),
    "bad, open again": (NOTED + b'deposit,1,2,5,"a\n', b'deposit,1,3,1,"x\n', 1),
    "more than 1 MiB": (NOTED + b'deposit,1,2,5,"a\n', (b"y" * 1023 + b"\n") * 1024 + b'x,b"\n', 1025),
    "a long row": (LONG_OPEN, b"deposit,1,3,1\n", 1),
    "a long row, closed": (LONG_OPEN, b'c"\n', None),
}  # fmt: skip


def accounts(folder: Folder, *arguments: str) -> bytes:
    """The accounts that a run with the state prints; it must end well."""
    ended = folder.run(*STATE, "-q", *arguments)
    assert ended.exit_code == 0, ended.errors
    return ended.output


def copied(two_snapshots: Path, folder: Folder) -> Path:
    """Copy a state with two snapshots into a folder; return the path of the newest snapshot there."""
    shutil.copytree(two_snapshots / "state", folder.path / "state")
    return folder.path / "state" / "snapshot-2"


def files_of(snapshot: Path) -> list[str]:
    """The names of the files that a snapshot has beside its manifest."""
    return sorted(str(path.relative_to(snapshot)) for path in snapshot.rglob("*.arrow"))


def replace(path: Path, content: bytes) -> None:
    """Write a file anew: other names that it has keep their content."""
    path.unlink()
    path.write_bytes(content)


def damage_page(path: Path, page: int = 0) -> None:
    """Change some bytes of a page of a segment; other names of the file keep their content."""
    content = bytearray(path.read_bytes())
    for index in range(page_start(page) + 500, page_start(page) + 700):
        content[index] ^= 0xFF
    replace(path, bytes(content))


def change_manifest(snapshot: Path, **changes: object) -> None:
    """Change fields of a snapshot's manifest, and its hash to fit."""
    fields = json.loads((snapshot / manifest.NAME).read_bytes())
    del fields["hash"]
    (snapshot / manifest.NAME).write_bytes(manifest.text_of({**fields, **changes}))


def seal(snapshot: Path) -> None:
    """Put the hashes of changed files into the manifest, as an attacker would."""
    from xxhash import xxh3_128_hexdigest

    files = {}
    for name in files_of(snapshot):
        content = (snapshot / name).read_bytes()
        files[name] = {"bytes": len(content), "xxh3_128": xxh3_128_hexdigest(content)}
    change_manifest(snapshot, files=files)


def content_of(path: Path) -> dict[str, bytes]:
    """The content of every file below a folder, by relative path."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def snapshots(folder: Folder) -> list[str]:
    """Names of the snapshots in the folder's state."""
    return sorted(path.name for path in (folder.path / "state").glob("snapshot-*"))


def save_ledgers(
    folder: Path, ledgers: Sequence[Ledger], *, policy: Policy | None = None, dialect: Dialect | None = None
) -> None:
    """Write a snapshot of ledgers that began with nothing, into a new folder."""
    store = Store(text_ids_of(dialect))
    folder.mkdir()
    store.seal([ActiveAccounts(ledger) for ledger in ledgers], str(folder))
    fields = {"inputs": {}, "policy": fields_of_policy(policy), **fields_of_dialect(dialect)}
    save_store(str(folder), store, fields)
    store.close()


def run_with_state(
    state_path: Path, path: Path, *, reader: str, block_bytes: int | None, threads: int, policy: str = ""
) -> Outcome:
    """Replay one file with a state, in this process. Raises TxfastError."""
    state = StateDirectory(str(state_path), lambda message: pytest.fail(str(message)), parse_policy(policy))
    journal = RejectsJournal()
    replay = replays.new_replay(journal, reader, block_bytes, threads, policy=policy)
    try:
        state.open()
        begin_with_state(replay, state)
        ref = resolve(str(path))
        source, consumption = state.open_input(ref)
        try:
            replay.read_source(source, consumption)
        finally:
            source.close()
        state.note(ref, consumption)
        outcome = outcome_of(replay, journal, state)
        state.finish()
        state.publish()
    finally:
        state.discard()
    return outcome


def begin_with_state(replay: Replay, state: StateDirectory) -> None:
    """Begin with the last snapshot of an open state, or with nothing."""
    state.load(lambda snapshot: replay.books.begin_with(snapshot, state.new_folder))
    if state.is_new:
        replay.books.begin_with(None, state.new_folder)


def positions(state: str) -> dict[str, tuple[int, int, str, bytes, int]]:
    """The position up to which each input was read, by the name of its file."""
    directory = StateDirectory(state, pytest.fail)
    directory.open_to_read()
    directory.load(lambda _: None)
    return {
        os.path.basename(key): (
            position.offset_bytes,
            position.lines,
            position.ending,
            position.header,
            position.open_bytes,
        )
        for key, position in directory.inputs.items()
    }


def opened_state(folder: Folder) -> StateDirectory:
    """The folder's state, locked. A warning fails the test."""
    state = StateDirectory(str(folder.path / "state"), lambda message: pytest.fail(str(message)))
    state.open()
    return state


def save_new(state: StateDirectory) -> None:
    """Write a snapshot of no accounts, which is not published yet."""
    state.new_folder()
    state.save(Store(None))
    state.finish()
