"""txfast.read: inputs as a reader of Arrow record batches of transactions."""

from contextlib import closing

from txfast.api.arguments import malformed_limit, taken
from txfast.api.closable_batches import ClosableBatches
from txfast.api.inputs import Inputs
from txfast.api.transaction_reader import TransactionReader
from txfast.batch.batch import KINDS, TransactionBatch
from txfast.dialect.names import DECIMALS
from txfast.log.journal import program_journal
from txfast.run.all_malformed import Examples, keep_examples, refuse_all_malformed
from txfast.run.intake import InputFigures, Intake, MalformedRows, check_reader, make_reader
from txfast.run.plan import make_plan
from txfast.writers.accounts_table import amount_type
from txfast.writers.arrow_buffers import transaction_buffers

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Generator, Iterator, Mapping

    import pyarrow as pa

    from txfast.api.inputs import Input
    from txfast.dialect.dialect import Dialect
    from txfast.input.source import Source
    from txfast.log.journal import Journal
    from txfast.run.plan import Plan
else:
    from txfast.late import pa


def transaction_schema(decimals: int = DECIMALS) -> "pa.Schema":
    """The schema of transactions."""
    return pa.schema(
        [
            pa.field("type", pa.dictionary(pa.int8(), pa.string()), nullable=False),
            pa.field("client", pa.uint64(), nullable=False),
            pa.field("tx", pa.uint64(), nullable=False),
            pa.field("amount", amount_type(decimals)),
        ]
    )


def read_transactions(
    inputs: "tuple[Input, ...]",
    *,
    max_malformed: int | None,
    strict: bool,
    reader: str,
    dialect: "Mapping[str, str | int] | None",
    logger: "logging.Logger | None",
) -> "pa.RecordBatchReader":
    """See `txfast.read`. Wrong arguments, and inputs that are missing or of a wrong kind, raise here, before the first
    batch is asked for."""
    given = Inputs(inputs)
    journal = program_journal("error", taken("logger", logger))
    malformed = MalformedRows(malformed_limit(max_malformed, strict=strict), outcome="")
    plan = make_plan(cores=1, memory_used=0, reader=taken("reader", reader))
    chosen = taken("dialect", dialect)
    check_reader(reader, chosen)
    batches = record_batches(given.sources(), plan, malformed, journal, chosen)
    decimals = DECIMALS if chosen is None else chosen.decimals
    return TransactionReader(
        record_batch(TransactionBatch(), decimals), ClosableBatches(batches.__next__, batches.close)
    )


def record_batches(
    sources: "Generator[Source, None, None]",
    plan: "Plan",
    malformed: MalformedRows,
    journal: "Journal",
    dialect: "Dialect | None" = None,
) -> "Generator[pa.RecordBatch, None, None]":
    """Read and scan inputs; nothing is applied. Malformed rows are logged and counted."""
    with closing(sources):
        yield from batches_of(sources, plan, malformed, journal, dialect)
    journal.malformed_totals(malformed.by_reason())


def batches_of(
    sources: "Iterator[Source]",
    plan: "Plan",
    malformed: MalformedRows,
    journal: "Journal",
    dialect: "Dialect | None",
) -> "Iterator[pa.RecordBatch]":
    batch = TransactionBatch()
    decimals = DECIMALS if dialect is None else dialect.decimals
    for source in sources:
        figures = InputFigures(source.name)
        intake = Intake(source, make_reader(source, plan, dialect=dialect), malformed, figures)
        before = list(malformed.counts)
        examples: Examples = {}
        while intake.fill(batch):
            intake.scan(batch)
            intake.admit(batch)
            intake.note(batch)
            journal.rows(source.name, batch)
            if batch.malformed_rows and not len(batch) and not examples:
                keep_examples(examples, batch)
            malformed.add(source.name, batch)
            if len(batch):
                yield record_batch(batch, decimals)
        counts = [count - earlier for count, earlier in zip(malformed.counts, before, strict=True)]
        refuse_all_malformed(source.name, counts, figures.rows, examples, outcome="")


def record_batch(batch: "TransactionBatch", decimals: int = DECIMALS) -> "pa.RecordBatch":
    """A batch's well-formed rows, in memory of their own."""
    kinds, clients, txs, has_amount, amounts = map(pa.py_buffer, transaction_buffers(batch))
    rows = len(batch)
    codes = pa.Array.from_buffers(pa.int8(), rows, [None, kinds])
    arrays = [
        pa.DictionaryArray.from_arrays(codes, pa.array(KINDS, pa.string())),
        pa.Array.from_buffers(pa.uint64(), rows, [None, clients]),
        pa.Array.from_buffers(pa.uint64(), rows, [None, txs]),
        pa.Array.from_buffers(amount_type(decimals), rows, [has_amount, amounts]),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=transaction_schema(decimals))
