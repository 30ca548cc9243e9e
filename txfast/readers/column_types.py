"""The types that a table's columns may have, and each column's buffers as TableColumns takes them.

Types that cannot be exact are not accepted; values that cannot be exact become malformed rows, as in CSV. This module
must not know where a table comes from.
"""

from decimal import Decimal

from txfast.batch.header import STANDARD_COLUMNS, find_columns, sharing_of
from txfast.errors import InputError
from txfast.readers.table_rows import bytes_of_views, units_fit

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa

    from txfast.dialect.dialect import Dialect

    # A column as TableColumns takes it.
    Column = tuple[str, int, pa.Buffer | None, pa.Buffer | None, pa.Buffer | None, pa.Buffer | None]
else:
    from txfast.late import pa

# Roles of columns that have amounts.
AMOUNTS = ("amount", "credit", "debit")
# Decimals of an amount: a decimal128 of this scale counts units of 0.0001.
UNIT_DECIMALS = 4
# A decimal of 38 digits with UNIT_DECIMALS of them after the point surely holds this many before it.
WHOLE_DIGITS = 33
# Digits of a decimal, by its bits. pyarrow's table of powers of ten ends there: with a scale beyond it, as a damaged or
# forged file can have, a cast reads past the table and may crash.
DECIMAL_DIGITS = {32: 9, 64: 18, 128: 38, 256: 76}
# Bytes of an offset, by the sort of text.
OFFSET_BYTES = {"text": 4, "large_text": 8}


def columns_of(
    schema: "pa.Schema", file: str, dialect: "Dialect | None" = None, *, of_query: bool = False
) -> list[str]:
    """The names that the table has for the columns that matter: each must be there once, and of a type that is exact.
    Messages about one `of_query` say what to write in SQL.

    Raises InputError.
    """
    wanted = STANDARD_COLUMNS if dialect is None else dialect.columns
    kept = [] if dialect is None else list(dialect.kept)
    if dialect is not None and not dialect.has_header:
        raise InputError(f"{file}: a table has names of columns: leave header=no out of the dialect")
    found = list(zip(wanted, find_columns(schema.names, wanted), strict=True))
    missing = [role for role, indexes in found if not indexes]
    if missing:
        from txfast.batch.header_advice import column_advice

        raise InputError(
            f"{file}: not a table of transactions: it has no column {', '.join(wanted[role] for role in missing)}: "
            f"{column_advice(schema.names, missing, dialect)}"
        )
    if sharing := sharing_of(dict(found), wanted):
        raise InputError(f"{file}: {sharing}")
    for name, indexes in zip(kept, find_columns(schema.names, {name: name for name in kept}), strict=True):
        if not indexes:
            raise InputError(f"{file}: it has no column {name}, which keep.{name} needs: correct its name")
        found.append(("keep", indexes))
    for role, indexes in found:
        if of_query and len(same := same_in_any_case(schema.names, schema.names[indexes[0]])) > 1:
            shown = " and ".join(map(repr, same))
            raise InputError(f"{file}: not a table of transactions: it has two columns {shown}: leave one out")
        if len(indexes) > 1:
            name = wanted.get(role, schema.names[indexes[0]])
            raise InputError(f"{file}: not a table of transactions: it has two columns {name!r}: leave one out")
        kind = schema.field(indexes[0]).type
        refusal = refusal_of(role, kind, of_query=of_query)
        if refusal is not None:
            raise InputError(f"{file}: column {schema.names[indexes[0]]!r} is of type {kind}: {refusal}")
    return [schema.names[indexes[0]] for _, indexes in found]


def same_in_any_case(names: "list[str]", name: str) -> list[str]:
    """Those of the names of columns that are this one for SQL, in which case does not count."""
    return [each for each in names if each.lower() == name.lower()]


def refusal_of(role: str, kind: "pa.DataType", *, of_query: bool = False) -> str | None:
    """Why a column of this role cannot be of this type; None where it can."""
    is_amount = role in AMOUNTS
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_text(kind) or pa.types.is_null(kind):
        return None
    if role in ("type", "currency", "keep"):
        return "it must be text, or a dictionary of text"
    if pa.types.is_floating(kind):
        if of_query:
            name, exact = ("amount", "DECIMAL(18, 4)") if is_amount else (role, "UBIGINT")
            return (
                f"floats are not exact: write CAST({name} AS {exact}), or better, where DuckDB reads a file, have all "
                "read as text: read_csv('FILE', all_varchar = true)"
            )
        way_out = "decimal128(19, 4) or text" if is_amount else "uint64 or text"
        return f"floats are not exact: cast it to {way_out} first"
    if pa.types.is_decimal(kind):
        digits = DECIMAL_DIGITS[kind.bit_width]
        least = UNIT_DECIMALS - digits
        if not least <= kind.scale <= digits:
            return f"its scale is not from {least} to {digits}: cast it to decimal128(19, 4) or text first"
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and (is_amount or kind.scale == 0)):
        return None
    numbers = "integers, decimals" if is_amount else "integers"
    return f"it must be {numbers} or text: cast it first"


def is_taken_directly(kind: "pa.DataType") -> bool:
    """Whether TableColumns takes the buffers of this type, without a conversion by pyarrow."""
    types = pa.types
    return any(
        test(kind)
        for test in (
            types.is_string, types.is_binary, types.is_large_string, types.is_large_binary, types.is_integer,
            types.is_decimal128,
        )
    )  # fmt: skip


def is_text(kind: "pa.DataType") -> bool:
    """Whether values are strings or bytes."""
    types = pa.types
    return any(
        test(kind)
        for test in (
            types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary,
            types.is_binary_view,
        )
    )  # fmt: skip


def bytes_to_convert(array: "pa.Array") -> tuple[int, int]:
    """The bytes of texts that are copied when the column is converted: of views, which may share one text, those of the
    rows; and those of a dictionary of views."""
    texts, is_dictionary = array, pa.types.is_dictionary(array.type)
    if is_dictionary:
        texts = array.dictionary
    if not (pa.types.is_string_view(texts.type) or pa.types.is_binary_view(texts.type)):
        return 0, 0
    size = bytes_of_views(texts.buffers()[1] or b"", texts.offset, len(texts))
    return (0, size) if is_dictionary else (size, 0)


def column_of(role: str, array: "pa.Array", decimal_mark: str = ".") -> "Column":
    """A column of this role as TableColumns takes it. Raises pyarrow's errors where a value cannot be converted.

    Amounts that become texts have this decimal mark.
    """
    types = pa.types
    if types.is_dictionary(array.type):
        if is_text(array.type.value_type):
            return dictionary_column(array)
        array = array.dictionary_decode()
    if types.is_null(array.type):
        return ("absent", 0, None, None, None, None)
    is_decimal = types.is_decimal(array.type)
    if is_decimal:
        array = exact_decimals(array, amounts=role in AMOUNTS)
    if types.is_decimal(array.type):
        validity, values = array.buffers()
        if units_fit(values, array.offset, len(array)):
            return ("units", array.offset, validity, values, None, None)
        array = array.cast(pa.string())
    if is_decimal and decimal_mark != "." and is_text(array.type):
        array = pa.compute.replace_substring(array, ".", decimal_mark)
    if types.is_integer(array.type):
        signed = types.is_signed_integer(array.type)
        array = converted(array, pa.int64() if signed else pa.uint64())
        validity, values = array.buffers()
        return ("signed" if signed else "unsigned", array.offset, validity, values, None, None)
    return text_column(array)


def dictionary_column(array: "pa.DictionaryArray") -> "Column":
    """Texts by index. The dictionary is not decoded: a text that many rows have would take too much."""
    texts, indices = array.dictionary, converted(array.indices, pa.int32())
    if not len(texts):
        return ("absent", 0, None, None, None, None)
    if texts.null_count:
        indices = pa.compute.if_else(texts.is_valid().take(indices), indices, None)
    sort, first, _, text, offsets, _ = text_column(texts)
    assert offsets is not None
    validity, numbers = indices.buffers()
    # A buffer may be longer than its content.
    size = OFFSET_BYTES[sort]
    return (sort, indices.offset, validity, text, offsets.slice(size * first, size * (len(texts) + 1)), numbers)


def text_column(array: "pa.Array") -> "Column":
    """Texts, one after another."""
    is_short = pa.types.is_string(array.type) or pa.types.is_binary(array.type)
    if not is_short and not pa.types.is_large_string(array.type):
        array = converted(array, pa.large_binary())
    validity, offsets, text = array.buffers()
    return ("text" if is_short else "large_text", array.offset, validity, text, offsets, None)


def converted(array: "pa.Array", kind: "pa.DataType") -> "pa.Array":
    """The same values in another type. A cast to the same type copies nothing, but imports for 60 ms."""
    return array if array.type == kind else array.cast(kind)


def exact_decimals(array: "pa.Array", *, amounts: bool) -> "pa.Array":
    """Decimals without loss: with four decimals for amounts, as uint64 for ids; as text where a value does not fit."""
    if amounts and array.type.scale == UNIT_DECIMALS and pa.types.is_decimal128(array.type):
        return array
    try:
        return array.cast(pa.decimal128(38, UNIT_DECIMALS) if amounts else pa.uint64())
    except ValueError:  # pyarrow's ArrowInvalid
        return decimal_texts(array) if amounts else array.cast(pa.string())


def decimal_texts(array: "pa.Array") -> "pa.Array":
    """Amounts as text without exponents. Those that do not fit decimal128(38, UNIT_DECIMALS) are converted one by
    one."""
    compute = pa.compute
    if array.type.scale < 0:  # which pyarrow cannot compute with
        return pa.array([each and whole_text(each) for each in array.cast(pa.string()).to_pylist()], pa.string())
    if array.type.bit_width < 128:
        array = array.cast(pa.decimal128(38, array.type.scale))
    kind = array.type
    is_exact = compute.equal(compute.round(array, ndigits=UNIT_DECIMALS, round_mode="towards_zero"), array)
    if kind.precision - kind.scale > WHOLE_DIGITS:
        is_small = compute.less(compute.abs(array), pa.scalar(Decimal(10) ** WHOLE_DIGITS, kind))
        is_exact = compute.and_(is_exact, is_small)
    exact = compute.if_else(is_exact, array, pa.scalar(None, kind)).cast(pa.decimal128(38, UNIT_DECIMALS))
    is_other = compute.fill_null(compute.invert(is_exact), False)
    others = [f"{value:f}" for value in array.filter(is_other).to_pylist()]
    return compute.replace_with_mask(exact.cast(pa.string()), is_other, pa.array(others, pa.string()))


def whole_text(text: str) -> str:
    """A whole number without an exponent; one that is too large for any amount stays as it is."""
    value = Decimal(text)
    return f"{value:f}" if not value or value.adjusted() <= WHOLE_DIGITS else text
