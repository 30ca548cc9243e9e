"""The accounts of all shards, merged into one order. This module must not know an engine, nor formats."""

from collections.abc import Iterator

from txfast.cluster.currency_codes import Numbers, came_damaged, currencies_of
from txfast.cluster.job import Job
from txfast.cluster.results import AccountRun
from txfast.dialect.currencies import Currencies
from txfast.errors import ClusterError, SpillError
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.spill.file import SpillFile, Stream
from txfast.spill.runs import renumber_run
from txfast.spill.settled import merged_runs


class MergedAccounts:
    """The accounts of all shards of a job: iterate `chunks` in ascending order of client, then currency; `close` in the
    end.

    They are kept on disk, in `spill_folder`, while they are merged. `has_names` says that clients are texts,
    `currencies` are those of accounts, None where they have none. Raises SpillError, CapacityError for too many
    currencies, and ClusterError if runs are missing, repeated or out of order.
    """

    def __init__(self, job: Job, spill_folder: str | None) -> None:
        dialect = job.figures.dialect
        self.has_names = dialect is not None and dialect.has_text("client")
        self.currencies = Currencies() if dialect is not None and dialect.has_currency else None
        self._file = SpillFile(spill_folder)
        self._streams = [Stream(self._file) for _ in range(job.figures.shards)]
        try:
            self._take_runs(job)
        except BaseException:
            self.close()
            raise

    def _take_runs(self, job: Job) -> None:
        run_counts = [0] * len(self._streams)
        for run in job.runs():
            due = run_counts[run.shard]
            if run.number != due:
                raise ClusterError(f"run {run.number} of shard {run.shard} came, and {due} is due; nothing is put out")
            run_counts[run.shard] += 1
            self._streams[run.shard].write(run.content if self.currencies is None else self._renumbered(run))
        job.figures.check_runs(run_counts)

    def _renumbered(self, run: AccountRun) -> bytes | bytearray:
        """The content of a run with the numbers that its currencies have here."""
        assert self.currencies is not None
        numbers = Numbers(self.currencies)
        numbers.know(currencies_of(run.codes).codes)
        content = bytearray(run.content)
        try:
            renumber_run(content, numbers.table, has_names=self.has_names)
        except SpillError as error:
            raise came_damaged(f"shard {run.shard}: run {run.number} of its accounts") from error
        return content

    def chunks(self) -> Iterator[AccountColumns]:
        """Iterate the accounts in chunks. Each chunk is valid until the next one."""
        return merged_runs(self._streams, has_names=self.has_names, currencies=self.currencies)

    def close(self) -> None:
        """Free the disk space."""
        self._file.close()
