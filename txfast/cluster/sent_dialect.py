"""The dialect of a run as it is sent to tasks: its parts and, where ids are texts, the key of their hashes.

All tasks of a run hash text ids by one key, so that they agree on the shard of a client. The driver makes the key. It
is random, so that nobody can craft ids that hash alike, and it must be in no output and in no log.

This module must not know what a dialect means, nor an engine.
"""

import json
import os
from functools import lru_cache

from txfast.dialect.dialect import Dialect
from txfast.dialect.text_ids import KEY_BYTES, TextIds


class SentDialect(str):
    """A dialect as JSON; "" for the default one. Its `repr` shows nothing: engines log the arguments of tasks that
    fail."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<dialect>"


class RunDialect(Dialect):
    """A Dialect whose text ids are hashed by the key of a run, the same in all of its processes."""

    __slots__ = ("_key",)

    def __init__(self, parts: dict[str, str], key: bytes) -> None:
        super().__init__(parts)
        self._key = key

    @property
    def text_ids(self) -> TextIds | None:
        """As that of a Dialect."""
        found = super().text_ids
        if found is not None:
            found.key = self._key
        return found


def dialect_text(dialect: Dialect | None) -> SentDialect:
    """A dialect to send to all tasks of a run. Each call makes another key."""
    if not dialect:
        return SentDialect()
    return SentDialect(json.dumps({"parts": dict(dialect), "key": os.urandom(KEY_BYTES).hex()}))


def own_dialect(text: str) -> Dialect | None:
    """The dialect of a `dialect_text`, for one task: its currencies are those that this task meets. None for the
    default one."""
    if not text:
        return None
    sent = json.loads(text)
    return RunDialect(sent["parts"], bytes.fromhex(sent["key"]))


# The same for all callers in this process.
dialect_in = lru_cache(maxsize=8)(own_dialect)
