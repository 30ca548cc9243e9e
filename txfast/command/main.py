"""The command: runs what the settings ask for, and makes a log line and an exit code of each error."""

import sys

from txfast.command.arguments import parse_arguments, unknown_variables
from txfast.command.settings import Settings
from txfast.errors import TooManyMalformedError, UnexpectedAccountsError, describe_failure, exit_code_of
from txfast.interrupts import LISTENER, end_by_signal
from txfast.log.journal import Journal
from txfast.run.machine import ARROW_MEMORY_BYTES, default_memory_limit
from txfast.writers.formats import compression_of, write_accounts
from txfast.writers.output import STANDARD_OUTPUT, Output, occupy_closed_descriptors

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

    from txfast.ledger.sorted_accounts import AccountColumns
    from txfast.report.stats import Totals
    from txfast.run.outputs import Outputs
    from txfast.run.replay import Replay
    from txfast.spill.settled import Settled


def main() -> int:
    """Run the command with the process's arguments and return its exit code.

    A failure becomes one line and an exit code. An interrupt ends the process by its signal.
    """
    occupy_closed_descriptors()
    journal = Journal()
    try:
        settings = parse_arguments(sys.argv[1:])
        journal = Journal(
            settings.level, named=settings.level_named, quiet=settings.quiet, verbose=settings.verbose,
            format=settings.log_format, color=settings.color,
        )  # fmt: skip
        for warning in unknown_variables():
            journal.warning(warning)
        LISTENER.listen()
        if settings.dialect_of:
            print_dialect(settings)
        elif settings.verify:
            verify_state(settings, journal)
        elif settings.compact:
            compact_state(settings, journal)
        elif settings.account:
            print_accounts(settings, journal)
        else:
            replay_files(settings, journal)
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt as interruption:
        return end_by_signal(getattr(interruption, "signal_name", "SIGINT"))
    except BrokenPipeError:
        return end_by_signal("SIGPIPE")
    except Exception as error:
        # All is cleaned up: from here on a signal ends the process by itself, also while the log waits for its reader.
        LISTENER.stop_listening()
        is_of_input = isinstance(error, TooManyMalformedError | UnexpectedAccountsError)
        journal.failure(describe_failure(error), None if is_of_input else error)
        return exit_code_of(error)
    finally:
        LISTENER.stop_listening()
    return 0


def replay_files(settings: Settings, journal: Journal) -> None:
    """The run itself: read the inputs in their order, then put out the results."""
    import time

    from txfast.run.outputs import Outputs
    from txfast.run.session import Session

    started = time.perf_counter()
    outputs = Outputs(
        settings.output, rejects=settings.rejects, differences=settings.differences, stats=settings.stats,
        state=settings.state, policy=settings.policy, dialect=settings.dialect, warn=journal.warning,
    )  # fmt: skip
    shows_progress = journal if journal.shows_progress(settings.progress) else None
    with Session(
        journal, settings, settings.inputs, outputs,
        opening=settings.opening, expected=settings.expect, shows_progress=shows_progress,
    ) as session:  # fmt: skip
        replay = session.replay
        session.begin()
        try:
            session.read()
        except TooManyMalformedError:
            put_out_figures(replay, replay.collect(), started, outputs, journal)
            outputs.publish(without_accounts=True, without_differences=True)
            raise
        shown: AccountColumns | Settled
        accounts: Totals
        if settings.changed:
            shown, accounts = session.collect_changed()
        else:
            shown = accounts = session.collect()
        outputs.finish_rejects()
        unexpected = session.compare(shown)
        if unexpected is not None:
            put_out_figures(replay, accounts, started, outputs, journal)
            outputs.publish(without_accounts=True)
            raise unexpected
        writing_started = time.perf_counter()
        assert outputs.accounts is not None, "a command always has some"
        write_accounts(shown, outputs.accounts, settings.output_format, replay.books.decimals)
        replay.spend("write", time.perf_counter() - writing_started)
        put_out_figures(replay, accounts, started, outputs, journal)
        session.publish()
        journal.outcome(*replay.outcome(), ignored=replay.ignored_rows, rejects=settings.rejects)
    session.close_books()


def print_dialect(settings: Settings) -> None:
    """Look at the one input, and print a profile for it on standard output."""
    from txfast.printable import printable
    from txfast.run.dialect_look import look

    text = "\n".join(map(printable, look(settings.inputs[0]).split("\n")))
    output = Output(STANDARD_OUTPUT)
    try:
        output.open()
        output.write(text.encode(errors="backslashreplace"))
        output.finish()
    finally:
        output.discard()


def verify_state(settings: Settings, journal: Journal) -> None:
    """Check a state directory, and describe its content on standard output."""
    from txfast.run.replay import new_replay
    from txfast.state import directory, verify

    assert settings.state is not None, "checked by Settings"
    limit = settings.memory_limit or default_memory_limit()
    replay = new_replay(threads=1, memory_limit=limit, memory_reserved=ARROW_MEMORY_BYTES)
    state = directory.StateDirectory(settings.state, journal.warning)
    try:
        state.open_to_read()
        print_lines(verify.describe(state, replay.books.check))
    finally:
        state.discard()


def compact_state(settings: Settings, journal: Journal) -> None:
    """Merge all files of a state directory, and say on standard output what that has saved."""
    from txfast.state import directory
    from txfast.state.whole_compaction import compact_directory

    assert settings.state is not None, "checked by Settings"
    state = directory.StateDirectory(settings.state, journal.warning)
    try:
        state.check_exists()
        state.open(takes_choices=True)
        print_lines([compact_directory(state)])
    finally:
        state.discard()


def print_accounts(settings: Settings, journal: Journal) -> None:
    """Put out the accounts of some clients in a state directory."""
    from txfast.state import account_query, directory

    assert settings.state is not None, "checked by Settings"
    state = directory.StateDirectory(settings.state, journal.warning)
    output = Output(settings.output, compression_of(settings.output))
    try:
        state.open_to_read()
        found, decimals = account_query.accounts_of_clients(state, settings.account)
        output.open()
        write_accounts(found, output, settings.output_format, decimals)
        output.finish()
        output.publish()
    finally:
        output.discard()
        state.discard()


def print_lines(lines: "Iterable[str]") -> None:
    """Print lines on standard output, each as soon as it is there."""
    from txfast.printable import printable

    output = Output(STANDARD_OUTPUT)
    try:
        output.open()
        for line in lines:
            output.write(printable(line).encode(errors="backslashreplace") + b"\n")
        output.finish()
    finally:
        output.discard()


def put_out_figures(replay: "Replay", accounts: "Totals", started: float, outputs: "Outputs", journal: Journal) -> None:
    """The figures of a run that started at this time of the performance counter: as a file, and in the log."""
    if outputs.stats is None and not journal.shows_figures:
        return
    import time

    from txfast.report.stats import json_text

    stats = replay.stats(accounts, time.perf_counter() - started)
    if outputs.stats is not None:
        outputs.stats.write(json_text(stats))
    journal.summary(stats)
