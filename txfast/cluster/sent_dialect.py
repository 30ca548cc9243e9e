"""The dialect of a run as it is sent to tasks: its parts and, where ids are texts, the key of their hashes.

All tasks of a run hash text ids by one key, so that they agree on the shard of a client. The driver makes the key. It
is random, so that nobody can craft ids that hash alike, and it must be in no output and in no log.

This module must not know what a dialect means, nor an engine.
"""

import json
import os
from functools import lru_cache
from typing import Any

from txfast.dialect.dialect import Dialect
from txfast.dialect.text_ids import KEY_BYTES


class SentDialect(str):
    """A dialect as JSON; "" for the default one. Its `repr` shows nothing: engines log the arguments of tasks that
    fail."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<dialect>"


class SentKey(str):
    """A key of a state, for tasks. Its `repr` shows nothing either."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<key>"


def without_sent_keys(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a manifest as they were before their keys were hidden: a manifest has plain texts alone."""
    return {name: str(value) if isinstance(value, SentKey) else value for name, value in fields.items()}


def dialect_text(dialect: Dialect | None, key: bytes | None = None) -> SentDialect:
    """A dialect to send to all tasks of a run, with the key of its state; without one, each call makes another key."""
    if not dialect:
        return SentDialect()
    return SentDialect(json.dumps({"parts": dict(dialect), "key": (key or os.urandom(KEY_BYTES)).hex()}))


def own_dialect(text: str) -> Dialect | None:
    """The dialect of a `dialect_text`, for one task: its currencies are those that this task meets. None for the
    default one."""
    if not text:
        return None
    sent = json.loads(text)
    dialect = Dialect(sent["parts"])
    dialect.hash_by(bytes.fromhex(sent["key"]))
    return dialect


# The same for all callers in this process.
dialect_in = lru_cache(maxsize=8)(own_dialect)
