"""Where the results of a run go: all of them are published, or none.

This module must not know how results are computed.
"""

from txfast.interrupts import LISTENER
from txfast.writers.formats import compression_of
from txfast.writers.output import Output, publication_order, publish_all

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from txfast.dialect.dialect import Dialect
    from txfast.ledger.policy import Policy
    from txfast.state.directory import StateDirectory
    from txfast.writers.differences import Differences
    from txfast.writers.rejects import Rejects


class Outputs:
    """The outputs of a run: `accounts`, `rejects`, `differences`, `stats`, `state`, each where a path is given for it.

    `open_state`, then `open_files`; write; then `publish`; `discard` in any case. `policy` and `dialect` are those of
    the state. `warn` gets each warning about the state, such as a damaged snapshot that is skipped. `paths` has those
    of files, by name of the output.
    """

    def __init__(
        self,
        accounts: str | None,
        *,
        rejects: str | None = None,
        differences: str | None = None,
        stats: str | None = None,
        state: str | None = None,
        policy: "Policy | None" = None,
        dialect: "Dialect | None" = None,
        warn: "Callable[[str], object]",
    ) -> None:
        self.paths = {"accounts": accounts, "rejects": rejects, "differences": differences, "stats": stats}
        self.accounts = None if accounts is None else Output(accounts, compression_of(accounts))
        self.stats = None if stats is None else Output(stats, compression_of(stats))
        self.rejects: Rejects | None = None
        if rejects is not None:
            from txfast.writers import rejects as writer

            self.rejects = writer.Rejects(rejects)
        self.differences: Differences | None = None
        if differences is not None:
            from txfast.writers import differences as differences_writer

            self.differences = differences_writer.Differences(differences)
        self.state: StateDirectory | None = None
        if state is not None:
            from txfast.state import directory

            self.state = directory.StateDirectory(state, warn, policy, dialect)
        self._all = publication_order(
            rejects=self.rejects, differences=self.differences, stats=self.stats, accounts=self.accounts,
            state=self.state,
        )  # fmt: skip

    def open_state(self, *, to_read: bool = False) -> None:
        """Open the state alone, before all others: one run at a time holds it, unless it is only read.

        Raises SourceError and LockedError.
        """
        if self.state is not None:
            if to_read:
                self.state.open_to_read()
            else:
                self.state.open()

    def open_files(self) -> None:
        """Open all but the state. Raises SourceError."""
        for output in self._all:
            if output is not self.state:
                output.open()

    def finish_rejects(self) -> None:
        """Write all rejects to their file. Call it before accounts are written to a pipe, which cannot be undone.

        Raises as `publish`.
        """
        if self.rejects is not None:
            self.rejects.finish()

    def publish(self, *, without_accounts: bool = False, without_differences: bool = False) -> None:
        """Put everything in its place, or leave it as it was. Raises SourceError, BrokenPipeError and Interrupted.

        Without accounts, only rejects, differences and stats are published, and the state stays as it was; without
        differences too where accounts were not compared.

        Steps that take long or may fail come first. The rest are renames, which nothing interrupts; where one of them
        fails, those before it are taken back.
        """
        left_out: list[object] = [self.accounts, self.state] if without_accounts else []
        left_out += [self.differences] if without_differences else []
        outputs = [output for output in self._all if all(output is not each for each in left_out)]
        for output in outputs:
            output.finish()
        LISTENER.check()
        LISTENER.hold()
        publish_all(outputs)

    def discard(self) -> None:
        """Close all of them, and remove what was not published. Nothing interrupts that."""
        LISTENER.hold()
        for output in self._all:
            output.discard()
