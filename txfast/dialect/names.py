"""Names and limits that all dialects share, and the decimals of the default one."""

# By their code: Kind in batch/batch.pxd.
KINDS = ("deposit", "withdrawal", "dispute", "resolve", "chargeback", "refund", "reversal")
# Other words for a type, in the type column.
OTHER_WORDS = {"withdraw": "withdrawal"}
COLUMN_NAMES = ("type", "client", "tx", "amount")
# The type of rows that a dialect leaves out.
IGNORE = "ignore"
# By their code: Rounding in meaning.pxd.
ROUNDINGS = ("refuse", "truncate", "half-even", "half-up")
# Of the code of a currency.
CURRENCY_BYTES_MAX = 12
# Decimals of amounts in the default dialect.
DECIMALS = 4


def unit(decimals: int = DECIMALS) -> str:
    """The unit in which amounts with these decimals are counted: 0.0001 for four."""
    return f"0.{'1':0>{decimals}}" if decimals else "1"
