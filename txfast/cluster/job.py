"""A run over a cluster: the settings that an engine is given, and what the driver asks of the engine's job.

This module must not know an engine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from txfast.cluster.cutting import cut_into_ranges, whole_inputs
from txfast.cluster.figures import Figures
from txfast.cluster.map import SHARDS_MAX
from txfast.cluster.ranges import RANGE_BYTES, Range, group_in_tasks
from txfast.cluster.results import AccountRun
from txfast.cluster.sent_dialect import dialect_in, dialect_text
from txfast.dialect.dialect import Dialect
from txfast.errors import UsageError
from txfast.ledger.policy import Policy
from txfast.run.machine import ARROW_MEMORY_LIMIT_MIN
from txfast.run.values import size_text
from txfast.state.dialects import decimals_of


@dataclass(frozen=True)
class Settings:
    """What an engine is to do: map all `ranges`, grouped in `tasks`, and reduce `shards`.

    `memory_limit` is in bytes, for each reduce task. `policy` and `dialect` are texts, as they are sent to the tasks.
    `begin_with` and `save_in` are None without a state, else as `reduce_shard` takes them.
    """

    ranges: Sequence[Range]
    tasks: Sequence[Sequence[Range]]
    shards: int
    keep_statuses: bool
    memory_limit: int | None
    spill_folder: str | None
    policy: str = ""
    begin_with: tuple[str, dict[str, Any]] | None = None
    save_in: tuple[str, str] | None = None
    dialect: str = ""

    @property
    def decimals(self) -> int:
        """The decimals of amounts."""
        return decimals_of(dialect_in(self.dialect))


def reduce_options(settings: Settings) -> dict[str, Any]:
    """The arguments of `reduce_shard` that are the same for all shards. They are sent to every task, so they
    must hold nothing of the inputs."""
    return {
        "ranges": len(settings.ranges), "shards": settings.shards, "keep_statuses": settings.keep_statuses,
        "memory_limit": settings.memory_limit, "spill_folder": settings.spill_folder,
        "policy": settings.policy, "dialect": settings.dialect,
        "begin_with": settings.begin_with, "save_in": settings.save_in,
    }  # fmt: skip


class State(Protocol):
    """The state of a run: `load` it, then `begin` gives the inputs their positions, `finish` saves what the run adds.
    By `text_key` ids that are texts are hashed; None where any key will do."""

    begin_with: tuple[str, dict[str, Any]] | None
    save_in: tuple[str, str] | None
    text_key: bytes | None

    def load(self) -> None: ...
    def begin(self, inputs: Sequence[Range]) -> list[Range]: ...
    def finish(self, settings: Settings, figures: Figures) -> None: ...


class Job(Protocol):
    """A run that an engine has settled: its figures, its accounts as runs, and its rejects."""

    @property
    def figures(self) -> Figures: ...
    def runs(self) -> Iterator[AccountRun]: ...
    def reject_blobs(self, reject_format: str) -> Iterator[bytes]: ...


def make_settings(
    paths: Sequence[str],
    *,
    cores: int,
    shards: int | None,
    keep_statuses: bool,
    range_bytes: int | None,
    memory_limit: int | None,
    spill_folder: str | None,
    policy: Policy | None = None,
    dialect: Dialect | None = None,
    state: State | None = None,
) -> Settings:
    """Begin with the state, if there is one, and cut the inputs into tasks for this number of cores.

    By default there are as many shards as cores. Raises UsageError, InputError, SourceError and StateError.
    """
    shards = max(1, cores) if shards is None else shards
    if not paths:
        raise UsageError("no inputs: name at least one")
    if not 1 <= shards <= SHARDS_MAX:
        raise UsageError(f"{shards} shards: there are 1 to {SHARDS_MAX}")
    if state is not None and memory_limit is not None and memory_limit < ARROW_MEMORY_LIMIT_MIN:
        least = f"{ARROW_MEMORY_LIMIT_MIN >> 20}MiB"
        raise UsageError(f"a memory limit of {size_text(memory_limit)} is too little for a state: the least is {least}")
    if state is not None:
        state.load()
    sent_dialect = dialect_text(dialect, None if state is None else state.text_key)
    inputs = whole_inputs(paths, with_state=state is not None, dialect=sent_dialect)
    begin_with, save_in = None, None
    if state is not None:
        inputs = state.begin(inputs)
        begin_with, save_in = state.begin_with, state.save_in
    ranges = cut_into_ranges(inputs, RANGE_BYTES if range_bytes is None else range_bytes)
    tasks = group_in_tasks(ranges, max(1, cores))
    return Settings(
        ranges, tasks, shards, keep_statuses, memory_limit, spill_folder, str(policy or ""), begin_with, save_in,
        sent_dialect,
    )  # fmt: skip
