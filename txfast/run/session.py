"""A run from its beginning to its end, with a state or without: the same for the command and for programs.

    with Session(journal, settings, inputs, outputs) as session:
        session.begin()
        session.read()
        accounts = session.collect()
        session.publish()

A run with a state begins with what is saved there, and reads of each input what it does not know yet. This module must
not know how a user says what to run, nor what is done with the results.
"""

import time

from txfast.errors import TooManyMalformedError, UnexpectedAccountsError
from txfast.input.open import look_at
from txfast.input.ref import InputRef, are_decompressed_by_pyarrow, have_queries, may_have_tables, total_size
from txfast.input.source import AUTO
from txfast.interrupts import LISTENER, while_waiting
from txfast.run.machine import default_memory_limit, kept_memory_bytes
from txfast.run.replay import Replay, new_replay
from txfast.run.rule_warnings import rule_warnings

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Protocol, Self

    from txfast.dialect.dialect import Dialect
    from txfast.input.source import Lent
    from txfast.ledger.policy import Policy
    from txfast.ledger.sorted_accounts import AccountColumns
    from txfast.log.journal import Journal
    from txfast.log.progress import Progress
    from txfast.readers.balance_columns import Contents
    from txfast.report.expected import ExpectedAccounts
    from txfast.run.balances import BalanceFile
    from txfast.run.checkpoint import Checkpoints
    from txfast.run.outputs import Outputs
    from txfast.run.reporter import Rejects
    from txfast.run.stored_accounts import AccountFigures
    from txfast.spill.settled import Settled
    from txfast.state.directory import StateDirectory
    from txfast.state.snapshot import Snapshot

    class Chosen(Protocol):
        """What a user chooses about a run; names and values are those of the options.

        `needs_arrow` says what needs pyarrow, in words; it is empty if nothing does.
        """

        max_malformed: int | None
        reader: str
        threads: int | None
        memory_limit: int | None
        spill_dir: str | None
        state: str | None
        checkpoint: float | None
        last_line: str | None
        policy: "Policy | None"
        dialect: "Dialect | None"

        @property
        def needs_arrow(self) -> str: ...


class Session:
    """A run over inputs. Use it in `with`: `begin`, `read`, `collect`, then `publish`.

    `opening` is a file of opening balances. `compare` the accounts with those of the file `expected`, before `publish`.

    On an exception, outputs that were not published are removed. So are the checkpoints, unless the run was
    interrupted, its output pipe was closed, or it had not replayed a row. Accounts that were moved to disk can be read
    after the block, until `close_books`.

    `collects` takes the rejects instead of the outputs' file. `shows_progress` is the journal that shows how far the
    run is, None for no such display.
    """

    def __init__(
        self,
        journal: "Journal",
        chosen: "Chosen",
        inputs: "Sequence[InputRef | Lent]",
        outputs: "Outputs",
        *,
        opening: "InputRef | Lent | None" = None,
        expected: "InputRef | Lent | None" = None,
        collects: "Rejects | None" = None,
        shows_progress: "Journal | None" = None,
    ) -> None:
        """Raises UsageError."""
        self.outputs = outputs
        self._opening = opening
        self._expected = expected
        self._expected_accounts: ExpectedAccounts | None = None
        self._opens_accounts = False  # whether this run has opened accounts
        self._journal = journal
        self._inputs = inputs
        self._copy_folder = chosen.spill_dir
        self._defers_signals = chosen.checkpoint is not None
        self._checkpoints = make_checkpoints(chosen, inputs, outputs, opening)
        self._progress = None if shows_progress is None else make_progress(shows_progress, inputs, chosen.state)
        read = [*inputs, *(each for each in (opening, expected) if each is not None)]
        refs = [each for each in read if isinstance(each, InputRef)]
        reads_tables = len(refs) < len(read) or may_have_tables(refs)
        memory_limit = chosen.memory_limit or default_memory_limit()
        self.replay: Replay = new_replay(
            journal,
            rejects=outputs.rejects if collects is None else collects,
            progress=self._progress,
            max_malformed=chosen.max_malformed,
            checkpoints=self._checkpoints if self._defers_signals else None,
            spill_folder=chosen.spill_dir,
            last_line=None if chosen.state is None else chosen.last_line or AUTO,
            policy=chosen.policy,
            dialect=chosen.dialect,
            reader=chosen.reader,
            threads=chosen.threads,
            memory_limit=memory_limit,
            memory_reserved=kept_memory_bytes(
                memory_limit,
                needs_arrow=bool(chosen.needs_arrow) or reads_tables,
                decompresses=are_decompressed_by_pyarrow(refs),
                has_queries=have_queries(refs),
                has_state=chosen.state is not None,
                reads_tables=reads_tables,
            ),
            reads_tables=reads_tables,
        )

    def __enter__(self) -> "Self":
        return self

    # ---- Beginning -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Look at the inputs that are left to read, and open all outputs, the state first; begin with a checkpoint of
        this command, or with the state's last snapshot.

        Raises SourceError, InputError, LockedError, StateError, SpillError, CapacityError and MemoryLimitError.
        """
        self.outputs.open_state(to_read=not self._inputs)
        state = self.outputs.state
        goes_on = self._checkpoints is not None and self._checkpoints.find(self.replay)
        left = self._inputs if self._checkpoints is None else self._inputs[self._checkpoints.first_input :]
        refs = [each for each in left if isinstance(each, InputRef)]
        balances = [each for each in (self._opening, self._expected) if isinstance(each, InputRef)]
        while_waiting(look_at, [*refs, *balances], open_all=len(left) > 1, room=self.replay.room)
        if self._expected is not None and self._inputs:
            self._read_expected(self._expected)
        self.outputs.open_files()
        if state is None:
            while_waiting(self._warn_of_copies, refs)
        elif not goes_on:
            self._begin_state(state)
        if self._expected is not None and not self._inputs:
            # A state that is only printed says the dialect.
            self._read_expected(self._expected)
        if self._opening is not None and not goes_on:
            self._open_accounts(self._opening)
        if self._checkpoints is not None:
            self._checkpoints.begin(self.replay)
        if state is not None and state.is_new:
            self._say_it_is_new(state)

    def _begin_state(self, state: "StateDirectory") -> None:
        from txfast.state.snapshots import store_of

        started = time.perf_counter()
        books = self.replay.books

        def begin_with(snapshot: "Snapshot") -> None:
            # What an earlier version saved is not saved anew where it is only printed.
            if not self._inputs and store_of(snapshot) is None:
                books.restore(snapshot)
                return
            books.begin_with(snapshot, state.new_folder)
            if not self._inputs and books.stored is not None:
                books.stored.store.open_files(("accounts",))

        state.load(begin_with)
        if self._inputs and state.is_new:
            books.begin_with(None, state.new_folder)
        self.replay.spend("load", time.perf_counter() - started)

    def _read_expected(self, given: "InputRef | Lent") -> None:
        from txfast.readers.balance_columns import EXPECTED
        from txfast.run.balances import read_expected

        started = time.perf_counter()
        self._expected_accounts = read_expected(self._balances(given, EXPECTED), self.replay.books)
        self.replay.spend("expect", time.perf_counter() - started)

    def _open_accounts(self, given: "InputRef | Lent") -> None:
        from txfast.readers.balance_columns import OPENING
        from txfast.run.balances import open_accounts

        started = time.perf_counter()
        state = self.outputs.state
        open_accounts(self._balances(given, OPENING), self.replay.books, None if state is None else state.path)
        self._opens_accounts = True
        self.replay.spend("opening", time.perf_counter() - started)

    def _balances(self, given: "InputRef | Lent", contents: "Contents") -> "BalanceFile":
        from txfast.run.balances import BalanceFile
        from txfast.run.intake import table_allowance

        plan, room = self.replay.plan, self.replay.room
        return BalanceFile(
            given, contents, dialect=self.replay.books.dialect, threads=plan.threads, copy_folder=self._copy_folder,
            room=room, table_allowance=lambda source: table_allowance(source, plan, room),
        )  # fmt: skip

    def _warn_of_copies(self, refs: "Sequence[InputRef]") -> None:
        """Warn of files that would be applied twice. A state knows that of each input when its turn comes."""
        if len(refs) > 1:
            from txfast.input.copies import copies_among, copy_warning

            for ref, original in copies_among(refs):
                self._journal.warning(copy_warning(ref.display_name, original.display_name))

    def _say_it_is_new(self, state: "StateDirectory") -> None:
        """Warn of a state that holds nothing yet. Raises StateError where the run would only print it."""
        if not self._inputs:
            from txfast.state.directory import no_snapshot

            raise no_snapshot(state.path)
        state.say_it_is_new()

    # ---- Reading -------------------------------------------------------------------------------------

    def read(self) -> None:
        """Replay all inputs in their order, or those that are left, and log the totals of malformed rows.

        Raises TooManyMalformedError, after the rows up to there were applied, and as `Replay.read`.
        """
        try:
            self._read_inputs()
        except TooManyMalformedError:
            self._end_of_input()
            raise
        self._end_of_input()

    def _end_of_input(self) -> None:
        if self._progress is not None:
            self._progress.close()
        self._journal.malformed_totals(self.replay.malformed_rows.by_reason())

    def _read_inputs(self) -> None:
        checkpoints = self._checkpoints
        if self._defers_signals:
            LISTENER.defer()
        for index, each in enumerate(self._inputs):
            if checkpoints is not None:
                if index < checkpoints.first_input:
                    continue
                checkpoints.begin_input(self.replay, index)
            if not isinstance(each, InputRef):
                self._read_lent(each)
            elif checkpoints is None or self.outputs.state is None:
                self.replay.read(each)
            else:
                self._read_followed(each, self.outputs.state, checkpoints)
            LISTENER.check()
        if checkpoints is not None:
            checkpoints.begin_input(self.replay, len(self._inputs))
        LISTENER.stop_deferring()

    def _read_lent(self, lent: "Lent") -> None:
        source = while_waiting(lent.open, self._copy_folder, self.replay.room)
        try:
            self.replay.read_source(source)
        finally:
            source.close()

    def _read_followed(self, ref: InputRef, state: "StateDirectory", checkpoints: "Checkpoints") -> None:
        """Replay the part of an input that the state does not know yet."""
        opened = checkpoints.take_opened()
        figures = None if opened is None else self.replay.inputs[-1]
        source, consumption = opened or while_waiting(state.open_input, ref, self._copy_folder, self.replay.room)
        try:
            self.replay.read_source(source, consumption, figures)
        finally:
            source.close()
        state.note(ref, consumption)

    # ---- Ending --------------------------------------------------------------------------------------

    def collect(self) -> "AccountColumns | Settled":
        """The accounts, once all inputs are read; with a state, all that was changed is saved first. Raises as
        `Replay.collect`."""
        accounts = self._collect() if self._opening is None else self._collect_opened(self._opening)
        self._warn_of_rules()
        return accounts

    def collect_changed(self) -> "tuple[AccountColumns, AccountFigures]":
        """The same in a run with a state: the accounts that this run has changed there, and the figures of all. Raises
        as `collect`."""
        from txfast.ledger.sorted_accounts import AccountColumns
        from txfast.run.stored_accounts import AccountFigures

        stored = self.replay.books.stored
        assert stored is not None, "the run has a state"
        seals = self._seals()
        self.replay.seal(seals=seals)
        self._save(seals=seals)
        self._warn_of_rules()
        return AccountColumns([stored.store.changed_accounts()]), AccountFigures(stored.store)

    def _warn_of_rules(self) -> None:
        books = self.replay.books
        for warning in rule_warnings(books.counts(), books.unread_amounts):
            self._journal.warning(warning)

    def _collect(self) -> "AccountColumns | Settled":
        seals = self._seals()
        accounts = self.replay.collect(seals=seals)
        self._save(seals=seals)
        return accounts

    def _seals(self) -> bool:
        """Whether there is a state, and the run may have changed it."""
        state = self.outputs.state
        return state is not None and not state.stays(changed=self.replay.rows > 0 or self._opens_accounts)

    def _save(self, *, seals: bool) -> None:
        """Have the state saved, where something was sealed."""
        stored = self.replay.books.stored
        if seals and self.outputs.state is not None:
            assert stored is not None, "the run has a state"
            self.outputs.state.save(stored.store)

    def _collect_opened(self, opening: "InputRef | Lent") -> "AccountColumns | Settled":
        """The same where accounts on disk may have been opened twice. Raises InputError too."""
        from txfast.readers.balance_columns import OPENING
        from txfast.run.balances import account_twice
        from txfast.spill.slices import AccountTwiceError

        try:
            return self._collect()
        except AccountTwiceError as error:
            state = self.outputs.state
            path = None if state is None or state.is_new else state.path
            currencies = self.replay.books.currencies
            owner = (error.client, None if currencies is None else currencies.codes[error.currency])
            raise account_twice(self._balances(opening, OPENING), owner, path) from error

    def compare(self, accounts: "AccountColumns | Settled") -> UnexpectedAccountsError | None:
        """Compare the accounts with those that were expected, where a file says that: log the first differences, and
        write all of them to their file. Return the error that ends the run where there are some.

        Raises SourceError and SpillError.
        """
        if self._expected_accounts is None:
            return None
        from txfast.report.comparison import NAMED_MAX, difference_text, differences, outcome_text

        started = time.perf_counter()
        count = 0
        file = self.outputs.differences
        if file is not None:
            rows = self._expected_accounts.rows
            file.begin(has_names=rows.has_names, has_currencies=rows.currencies is not None)
        for found in differences(accounts, self._expected_accounts, self.replay.books.decimals):
            for difference in found.first_texts(NAMED_MAX - count):
                self._journal.difference(difference_text(*difference), *difference)
            count += len(found)
            if file is not None:
                file.add(found)
            LISTENER.check()
        self.replay.spend("compare", time.perf_counter() - started)
        if not count:
            return None
        assert self._expected is not None, "its accounts were read"
        name = self._expected.display_name if isinstance(self._expected, InputRef) else self._expected.name
        return UnexpectedAccountsError(outcome_text(count, name, self.outputs.paths["differences"]), count)

    def publish(self) -> None:
        """Publish all outputs; no checkpoint is needed any more. Raises as `Outputs.publish`."""
        self.outputs.publish()
        if self._checkpoints is not None:
            self._checkpoints.discard()

    def close_books(self) -> None:
        """Give back disk space: accounts that were moved there are gone then."""
        self.replay.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        """Clean up; nothing interrupts that."""
        LISTENER.hold()
        try:
            if self._progress is not None:
                self._progress.close()
            if error is not None:
                self.close_books()
            if self._checkpoints is not None:
                self._end_checkpoints(self._checkpoints, error)
        finally:
            self.outputs.discard()

    def _end_checkpoints(self, checkpoints: "Checkpoints", error: BaseException | None) -> None:
        has_failed = isinstance(error, Exception) and not isinstance(error, BrokenPipeError)
        if has_failed and checkpoints.has_replayed(self.replay):
            checkpoints.discard()
        elif error is not None:
            checkpoints.keep()
        checkpoints.close()


def make_checkpoints(
    chosen: "Chosen", inputs: "Sequence[InputRef | Lent]", outputs: "Outputs", opening: "InputRef | Lent | None" = None
) -> "Checkpoints | None":
    """The checkpoints of a run with a state and inputs, which may go on from one, or take new ones."""
    if outputs.state is None or not inputs:
        return None
    from txfast.run.checkpoint import Checkpoints, command_of

    command = command_of(
        [each.name for each in inputs], outputs.paths, chosen.max_malformed, chosen.policy, chosen.dialect,
        None if opening is None else opening.name,
    )  # fmt: skip
    return Checkpoints(outputs.state, command, chosen.checkpoint, outputs.rejects)


def make_progress(journal: "Journal", inputs: "Sequence[InputRef | Lent]", state: str | None) -> "Progress":
    """Shows how far the run is. With a state the size of the new part is not known yet."""
    from txfast.log.progress import Progress

    refs = [each for each in inputs if isinstance(each, InputRef)]
    is_known = state is None and len(refs) == len(inputs)
    return Progress(journal, total_size(refs) if is_known else None)
