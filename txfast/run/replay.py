"""The one loop: read inputs, apply their batches, report each, take checkpoints; then collect the accounts.

This module must not know rules or the command line, and of formats only whether they have a header.
"""

from time import perf_counter

from txfast.input.open import open_input
from txfast.input.room import Room
from txfast.input.source import JSON_LINES
from txfast.interrupts import while_waiting
from txfast.ledger.ledger import STATUSES
from txfast.run.books import Books
from txfast.run.flow import InlineFlow, ThreadedFlow
from txfast.run.intake import NO_ACCOUNTS, InputFigures, Intake, MalformedRows, check_reader, make_reader
from txfast.run.machine import available_cores, memory_bytes_now
from txfast.run.plan import Plan, make_plan
from txfast.run.reporter import Reporter

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from txfast.batch.batch import TransactionBatch
    from txfast.dialect.dialect import Dialect
    from txfast.input.last_line import LastRow
    from txfast.input.position import Consumption, Position
    from txfast.input.ref import InputRef
    from txfast.input.source import Source
    from txfast.ledger.policy import Policy
    from txfast.ledger.sorted_accounts import AccountColumns
    from txfast.log.journal import Journal
    from txfast.log.progress import Progress
    from txfast.report.stats import RunFigures, Totals
    from txfast.run.all_malformed import Examples
    from txfast.run.flow import Flow
    from txfast.run.reporter import Rejects
    from txfast.spill.settled import Settled

    class Checkpoints(Protocol):
        """Saves a run's progress. After every batch the run calls `is_due`.

        While it is true, the run pauses the flow, and calls `take` after the first batch at which the flow has caught
        up. Inside a table it calls `end_by_signal` instead, and once ledgers are on disk `pass_over`.
        """

        def is_due(self) -> bool: ...
        def take(self, replay: "Replay", position: Position) -> None: ...
        def pass_over(self) -> None: ...
        def end_by_signal(self) -> None: ...


class Replay:
    """A run: `read` inputs in their order, then `collect` the accounts; `close` in the end.

    Where there are more malformed rows than `max_malformed`, the run stops at the first one too many, as if the input
    ended there, and raises. A table that comes as a stream is copied to `spill_folder`.

    An input that has rows, all of them malformed, fails the run, unless `refuses_malformed` is False.

    `last_line` says what becomes of a last line without an ending: one of LAST_LINE_RULES, or AUTO. It is None in a run
    without a state, which takes the line.
    """

    def __init__(
        self,
        plan: Plan,
        books: Books,
        reporter: Reporter,
        *,
        max_malformed: int | None = None,
        checkpoints: "Checkpoints | None" = None,
        spill_folder: str | None = None,
        last_line: str | None = None,
        refuses_malformed: bool = True,
    ) -> None:
        self.plan = plan
        self.books = books
        # Memory for what shows itself when an input is opened or read; None without a memory limit.
        self.room: Room | None = None
        if plan.memory_limit is not None:
            self.room = Room(plan.memory_limit, plan.kept_bytes or 0, books.make_room)
        self.inputs: list[InputFigures] = []
        self.malformed_rows = MalformedRows(max_malformed)
        # By reason, when the input that is read began; None if an earlier run has read the input's first rows.
        self.malformed_before: list[int] | None = None
        self._reporter = reporter
        self._checkpoints = checkpoints
        self._spill_folder = spill_folder
        self._refuses_malformed = refuses_malformed
        self._last_line = last_line
        self._seconds = {"read": 0.0, "scan": 0.0, "apply": 0.0, "report": 0.0}

    def go_on(
        self,
        figures: "Sequence[tuple[str, int, int, int]]",
        malformed_rows: list[int],
        malformed_before: list[int] | None,
    ) -> None:
        """Count what was done already: the name, bytes, rows and ignored rows of each input so far, and malformed rows
        by reason; `malformed_before` are those when the last input began."""
        self.inputs = [InputFigures(*each) for each in figures]
        self.malformed_rows.go_on(malformed_rows)
        self.malformed_before = malformed_before

    def read(self, ref: "InputRef") -> None:
        """Replay one input. Raises TxfastError, OSError and MemoryError; TooManyMalformedError as the class says."""
        source = while_waiting(open_input, ref, self._spill_folder, self.room)
        try:
            self.read_source(source)
        finally:
            source.close()

    def read_source(
        self,
        source: "Source",
        consumption: "Consumption | None" = None,
        figures: InputFigures | None = None,
        watch: "Callable[[TransactionBatch], object] | None" = None,
    ) -> None:
        """Replay one input that is open already, and leave it open. Reading begins at the position of the consumption.

        `figures` counts the input; by default it gets figures of its own. `watch` is given every applied batch, in
        order. Raises as `read`.
        """
        if figures is None:
            figures = InputFigures(source.name)
            self.inputs.append(figures)
            # Of an input that goes on after more than its header, an earlier run has read rows that this one does not
            # see, and not all of them were malformed.
            dialect = self.books.dialect
            has_header = source.kind != JSON_LINES and (dialect is None or dialect.has_header)
            header_lines = int(has_header) + (0 if dialect is None else int(dialect.part("skip")))
            is_whole = consumption is None or consumption.lines <= header_lines
            self.malformed_before = list(self.malformed_rows.counts) if is_whole else None
        last_row = self._make_last_row(source)
        reader = make_reader(
            source, self.plan, consumption,
            keep_text=self.books.keep_statuses, copy_folder=self._spill_folder, last_row=last_row, room=self.room,
            dialect=self.books.dialect,
        )  # fmt: skip
        keep_positions = self._checkpoints is not None
        intake = Intake(source, reader, self.malformed_rows, figures, consumption, keep_positions=keep_positions)
        examples: Examples = {}
        self.books.begin_input(source.size_bytes)
        flow: Flow = InlineFlow(intake, self.books)
        if self.plan.is_threaded(source.size_bytes):
            flow = ThreadedFlow(intake, self.books, self.plan.scanners)
        try:
            for batch in flow:
                self._report(intake, batch, examples)
                if watch is not None:
                    watch(batch)
                if self._checkpoints is not None and self._checkpoints.is_due():
                    self._checkpoint(self._checkpoints, flow, intake, batch)
        finally:
            for stage, spent in flow.seconds.items():
                self._seconds[stage] += spent
        intake.finish()
        self._refuse_all_malformed(figures, examples)
        if last_row is not None and last_row.reason:
            self._reporter.held_back(
                source.name, intake.next_line, last_row.reason,
                in_quotes=last_row.in_quotes, in_character=last_row.in_character,
            )  # fmt: skip

    def _refuse_all_malformed(self, figures: InputFigures, examples: "Examples") -> None:
        """At the end of an input: raise InputError if it has rows, and all of them are malformed."""
        before = self.malformed_before
        if (
            self._refuses_malformed
            and before is not None
            and figures.rows == sum(self.malformed_rows.counts) - sum(before)
        ):
            from txfast.run.all_malformed import refuse_all_malformed

            counts = [count - earlier for count, earlier in zip(self.malformed_rows.counts, before, strict=True)]
            outcome = NO_ACCOUNTS + self._reporter.way_to_all_malformed
            refuse_all_malformed(figures.name, counts, figures.rows, examples, outcome=outcome)

    def _make_last_row(self, source: "Source") -> "LastRow | None":
        if self._last_line is None:
            return None
        from txfast.input.last_line import LastRow

        return LastRow(source, self._last_line)

    def _report(self, intake: Intake, batch: "TransactionBatch", examples: "Examples") -> None:
        started = perf_counter()
        intake.note(batch)
        if batch.header is not None and batch.header.ignored:
            self._reporter.ignored_columns(intake.name, batch.header.ignored)
        if batch.row_in_quotes:
            self._reporter.row_in_quotes(intake.name, batch.row_in_quotes)
        self._reporter.report(intake.name, batch, self.books)
        self._seconds["report"] += perf_counter() - started
        if batch.malformed_rows and not len(batch) and not examples:
            from txfast.run.all_malformed import keep_examples

            keep_examples(examples, batch)
        self.malformed_rows.add(intake.name, batch)

    def _checkpoint(self, checkpoints: "Checkpoints", flow: "Flow", intake: Intake, batch: "TransactionBatch") -> None:
        """Take a checkpoint after this batch, or have the flow come to where one can be taken."""
        if intake.is_table:
            # A run cannot go on inside a table: a signal ends it, and leaves the last checkpoint.
            checkpoints.end_by_signal()
            return
        if intake.header is None:
            return  # before the header there is no position at which a later run could continue
        flow.pause()
        if not flow.has_caught_up:
            return
        position = intake.position_after(batch)
        if self.books.is_spilled:
            checkpoints.pass_over()
        else:
            checkpoints.take(self, position)
        flow.go_on()

    def collect(self, *, seals: bool = True) -> "AccountColumns | Settled":
        """The accounts, once all inputs are read; deferred rows are reported. In a run with a state, `seals` says
        whether something may have changed there. Raises as `Books.collect`, `Books.seal` and `Books.collect_stored`."""
        if self.books.stored is None:
            accounts = self.books.collect(self._reporter.settling)
            self._report_deferred()
            return accounts
        self.seal(seals=seals)
        return self.books.collect_stored()

    def seal(self, *, seals: bool = True) -> None:
        """The same in a run with a state, without collecting the accounts."""
        if seals or self.books.is_spilled:
            self.books.seal(self._reporter.settling)
        self._report_deferred()

    def _report_deferred(self) -> None:
        started = perf_counter()
        self._reporter.report_deferred(self.books)
        self._seconds["report"] += perf_counter() - started

    def close(self) -> None:
        """Give back disk space: accounts that were moved there are gone then."""
        self.books.close()

    # ---- Figures -----------------------------------------------------------------------------------

    def spend(self, stage: str, seconds: float) -> None:
        """Count time of a stage of the run that is not this class's own."""
        self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    @property
    def seconds(self) -> dict[str, float]:
        """Time by stage; stages overlap where there are threads."""
        return {**self._seconds, **self.books.seconds}

    @property
    def rows(self) -> int:
        """Rows read so far, well-formed and malformed."""
        return sum(figures.rows for figures in self.inputs)

    @property
    def ignored_rows(self) -> int:
        """Rows so far that are nothing in the dialect."""
        return sum(figures.ignored_rows for figures in self.inputs)

    def outcome(self) -> tuple[int, int, int]:
        """How many rows were applied, rejected and malformed, once the accounts are collected."""
        malformed = sum(self.malformed_rows.counts)
        applied = sum(self.books.counts()[:: len(STATUSES)])
        return applied, self.rows - applied - malformed, malformed

    def figures(self) -> "RunFigures":
        """What was read so far, and what became of it."""
        from txfast.report.stats import RunFigures

        return RunFigures(self.inputs, self.books.counts(), self.malformed_rows.counts, self.books.openings.balances())

    def stats(self, accounts: "Totals", seconds: float) -> "dict[str, Any]":
        """The figures of the run, which took so many seconds in all."""
        from txfast.report.stats import make_stats
        from txfast.run.machine import peak_memory_bytes

        return {
            **make_stats(
                self.figures(), accounts, {"total": seconds, **self.seconds}, self.books.policy, self.books.dialect
            ),
            "peak_memory_bytes": peak_memory_bytes(),
            "spilled_bytes": self.books.spilled_bytes,
            "threads": self.plan.threads,
            "reader": self.plan.reader,
        }


def new_replay(
    journal: "Journal | None" = None,
    *,
    rejects: "Rejects | None" = None,
    progress: "Progress | None" = None,
    max_malformed: int | None = None,
    checkpoints: "Checkpoints | None" = None,
    spill_folder: str | None = None,
    last_line: str | None = None,
    refuses_malformed: bool = True,
    policy: "Policy | None" = None,
    dialect: "Dialect | None" = None,
    **planned: "Any",
) -> Replay:
    """Make a run for this machine: its plan, its books and its reporter. Raises UsageError.

    `planned` are arguments of `make_plan`: all but those that describe the machine.
    """
    check_reader(planned.get("reader"), dialect)
    plan = make_plan(cores=available_cores(), memory_used=memory_bytes_now(), **planned)
    reporter = Reporter(journal, rejects, progress)
    books = Books(
        plan, policy=policy, dialect=dialect, keep_statuses=reporter.tells_each_reject, spill_folder=spill_folder
    )
    return Replay(
        plan, books, reporter,
        max_malformed=max_malformed, checkpoints=checkpoints, spill_folder=spill_folder, last_line=last_line,
        refuses_malformed=refuses_malformed,
    )  # fmt: skip
