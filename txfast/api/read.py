"""txfast.read: inputs as a reader of Arrow record batches of transactions."""

from contextlib import closing

from txfast.api.arguments import malformed_limit, taken
from txfast.api.closable_batches import ClosableBatches
from txfast.api.inputs import Inputs
from txfast.api.profiles import takes_profile
from txfast.api.transaction_reader import TransactionReader
from txfast.batch.batch import KINDS, TransactionBatch
from txfast.dialect.names import DECIMALS
from txfast.log.journal import program_journal
from txfast.run.all_malformed import Examples, keep_examples, refuse_all_malformed
from txfast.run.intake import InputFigures, Intake, MalformedRows, check_reader, make_reader
from txfast.run.plan import make_plan
from txfast.writers.accounts_table import amount_type, check_utf8
from txfast.writers.arrow_buffers import transaction_buffers

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging
    import os
    from collections.abc import Generator, Iterator, Mapping

    import pyarrow as pa

    from txfast.api.arguments import Reader
    from txfast.api.inputs import Input
    from txfast.dialect.dialect import Dialect
    from txfast.input.source import Source
    from txfast.log.journal import Journal
    from txfast.run.plan import Plan
else:
    from txfast.late import pa


def transaction_schema(dialect: "Dialect | None" = None) -> "pa.Schema":
    """The schema of transactions that were read in a dialect."""
    text_ids = None if dialect is None else dialect.text_ids
    client = pa.string() if text_ids is not None and text_ids.client else pa.uint64()
    tx = pa.string() if text_ids is not None and text_ids.tx else pa.uint64()
    has_currency = dialect is not None and dialect.has_currency
    return pa.schema(
        [
            pa.field("type", pa.dictionary(pa.int8(), pa.string()), nullable=False),
            pa.field("client", client, nullable=False),
            pa.field("tx", tx, nullable=False),
            pa.field("amount", amount_type(DECIMALS if dialect is None else dialect.decimals)),
            *([pa.field("currency", pa.string(), nullable=False)] if has_currency else ()),
        ]
    )


@takes_profile
def read(
    *inputs: "Input",
    max_malformed: int | None = None,
    strict: bool = False,
    reader: "Reader" = "native",
    profile: "str | os.PathLike[str] | None" = None,  # noqa: ARG001 (takes_profile reads it)
    dialect: "Mapping[str, str | int] | None" = None,
    logger: "logging.Logger | None" = None,
) -> "pa.RecordBatchReader":
    """Read the transactions in inputs, as a pyarrow RecordBatchReader: `type` (dictionary of string), `client` and `tx`
    (uint64, or string where they are texts), `amount` (decimal128(19, 4), or as many decimals as the dialect says; null
    where the row has none), and `currency` (string) where the dialect names that column.

    Iterate its record batches, take all of them with `read_all()`, or give it to whatever takes an Arrow stream. Rows
    are read as they are asked for. The inputs are given back when the reader has come to their end, when it fails, and
    when it is closed, by `close()`, `with` or `del`. A closed reader raises UsageError where more is asked of it.

    Inputs, arguments and errors are those of `txfast.process`. Wrong arguments, and inputs that are missing or of a
    wrong kind, raise before the first batch is asked for. Malformed rows are left out, logged, and counted against
    `max_malformed`. Rows are read and parsed, not applied, so `process` may still reject a row that `read` returns.

    >>> import io, txfast
    >>> file = io.BytesIO(b"type,client,tx,amount\\ndeposit,1,1,2.5\\ndispute,1,1,\\n")
    >>> txfast.read(file).read_all().to_pylist()[0]
    {'type': 'deposit', 'client': 1, 'tx': 1, 'amount': Decimal('2.5000')}
    """
    given = Inputs(inputs)
    journal = program_journal("error", taken("logger", logger))
    malformed = MalformedRows(malformed_limit(max_malformed, strict=strict), outcome="")
    plan = make_plan(cores=1, memory_used=0, reader=taken("reader", reader))
    chosen = taken("dialect", dialect)
    check_reader(reader, chosen)
    batches = record_batches(given.sources(), plan, malformed, journal, chosen)
    return TransactionReader(record_batch(TransactionBatch(), chosen), ClosableBatches(batches.__next__, batches.close))


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
                yield record_batch(batch, dialect)
        counts = [count - earlier for count, earlier in zip(malformed.counts, before, strict=True)]
        refuse_all_malformed(source.name, counts, figures.rows, examples, outcome="")


def record_batch(batch: "TransactionBatch", dialect: "Dialect | None" = None) -> "pa.RecordBatch":
    """A batch's well-formed rows, which were read in a dialect, in memory of their own. Raises InputError for an id
    that is a text but no UTF-8."""
    text_ids = None if dialect is None else dialect.text_ids
    currencies = None if dialect is None else dialect.currencies
    schema = transaction_schema(dialect)
    [kinds], clients, txs, [has_amount, amounts], *codes = transaction_buffers(
        batch, text_client=text_ids is not None and text_ids.client, text_tx=text_ids is not None and text_ids.tx,
        currencies=None if currencies is None else currencies.codes,
    )  # fmt: skip
    rows = len(batch)
    types = pa.Array.from_buffers(pa.int8(), rows, [None, pa.py_buffer(kinds)])
    arrays = [pa.DictionaryArray.from_arrays(types, pa.array(KINDS, pa.string()))]
    for field, buffers in zip(list(schema)[1:], (clients, txs, [has_amount, amounts], *codes), strict=True):
        if field.type == pa.string():
            check_utf8(field.name, *buffers)
        # Ids and currencies are never null, so they have no bits for that.
        validity = [] if field.name == "amount" else [None]
        arrays.append(pa.Array.from_buffers(field.type, rows, [*validity, *map(pa.py_buffer, buffers)]))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
