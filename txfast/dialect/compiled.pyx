"""Compiles a dialect into what the readers' inner loops use: how a text is cut, and what its fields mean.

This module must not know how a file is read, nor which columns it has.
"""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from cpython.pycapsule cimport PyCapsule_New

from txfast.dialect.meaning cimport (
    AMOUNT, CLIENT, CURRENCY, DEBIT, IGNORED_KIND, KEPT, KEPT_MAX, NO_THOUSANDS, TX, TYPE, AmountForm, Compiled,
    Rounding, Word, Words,
)
from txfast.text.csv_in cimport COMMENT_BYTES_MAX, NO_QUOTE, default_syntax
from txfast.text.text_hash cimport read_key

from txfast.dialect.names import IGNORE, KINDS, OTHER_WORDS, ROUNDINGS

cdef enum:
    WORDS_MAX = 1024

ROLES = {
    "type": TYPE, "client": CLIENT, "tx": TX, "amount": AMOUNT, "credit": AMOUNT, "debit": DEBIT, "currency": CURRENCY,
}


cdef class CompiledDialect:
    """A compiled Dialect. `capsule` has a pointer to its struct, which is valid as long as this object.

    `currencies` are those that files in it were found to have; None where accounts have no currency.
    """

    cdef Compiled compiled
    cdef list texts  # keeps the words alive
    cdef Word* words
    cdef Py_ssize_t word_count
    cdef readonly object capsule
    cdef readonly object currencies

    def __cinit__(self, dialect not None):
        cdef bytes comment = dialect.part("comment").encode()
        cdef int index
        self.texts = []
        self.capsule = PyCapsule_New(&self.compiled, NULL, NULL)
        self.words = <Word*>malloc(WORDS_MAX * sizeof(Word))
        if self.words == NULL:
            raise MemoryError("no memory for the words of a dialect")
        self.compiled.syntax = default_syntax()
        if dialect.delimiter is not None:
            self.compiled.syntax.delimiter = <uint8_t>ord(dialect.delimiter)
        quote = dialect.part("quote")
        self.compiled.syntax.quote = NO_QUOTE if quote == "none" else ord(quote)
        self.compiled.syntax.comment_bytes = len(comment)
        if len(comment) > COMMENT_BYTES_MAX:
            raise ValueError(f"a comment of {len(comment)} bytes")
        memcpy(self.compiled.syntax.comment, <const uint8_t*>comment, len(comment))
        self.compile_amounts(dialect)
        self.compile_types(dialect)
        self.compile_ids(dialect.text_ids)
        self.currencies = dialect.currencies
        self.compiled.meaning.has_currency = dialect.has_currency
        self.compiled.meaning.nulls = self.keep_words([(word.encode(), 0) for word in dialect.words("null")])
        if len(dialect.kept) > KEPT_MAX:
            raise ValueError(f"a dialect that keeps rows by {len(dialect.kept)} columns")
        self.compiled.meaning.kept_count = len(dialect.kept)
        for index, words in enumerate(dialect.kept.values()):
            self.compiled.meaning.kept[index] = self.keep_words([(word.encode(), 0) for word in words])
        self.compile_keys(dialect)
        self.compiled.means_default = not dialect.changes_meaning

    def __dealloc__(self):
        free(self.words)

    cdef int compile_amounts(self, dialect) except -1:
        """Compile how amounts are written."""
        cdef AmountForm* amounts = &self.compiled.meaning.amounts
        cdef int _
        thousands = dialect.part("thousands")
        amounts.decimal = <uint8_t>ord(dialect.part("decimal"))
        amounts.thousands = NO_THOUSANDS if thousands == "none" else ord(thousands)
        amounts.places = 0 if dialect.part("amounts") == "minor" else dialect.decimals
        amounts.scale = 1
        for _ in range(amounts.places):
            amounts.scale *= 10
        amounts.rounding = <Rounding><int>ROUNDINGS.index(dialect.part("rounding"))
        self.compiled.meaning.number_amounts = amounts[0]
        self.compiled.meaning.number_amounts.decimal = c"."
        self.compiled.meaning.number_amounts.thousands = NO_THOUSANDS
        return 0

    cdef int compile_keys(self, dialect) except -1:
        """Compile the names of the keys that JSON lines have for the columns."""
        keys = [(name, ROLES[role]) for role, name in dialect.columns.items()]
        keys += [(name, KEPT + index) for index, name in enumerate(dialect.kept)]
        # The command line has bytes that are no UTF-8 as surrogates.
        self.compiled.keys = self.keep_words([(name.encode("utf-8", "surrogateescape"), role) for name, role in keys])
        return 0

    cdef int compile_types(self, dialect) except -1:
        """Compile the words of types, or the types that signs and columns stand for."""
        types = dialect.family("types.")
        self.compiled.meaning.has_signs = dialect.has_signs
        self.compiled.meaning.has_debits = dialect.has_debits
        self.compiled.meaning.positive_kind = KINDS.index(types.get("+", "deposit"))
        self.compiled.meaning.negative_kind = KINDS.index(types.get("-", "withdrawal"))
        words = {kind: kind for kind in KINDS} | OTHER_WORDS | {
            word: kind for word, kind in types.items() if word not in ("+", "-")
        }
        self.compiled.meaning.types = self.keep_words(
            [(word.encode(), IGNORED_KIND if kind == IGNORE else KINDS.index(kind)) for word, kind in words.items()]
        )
        return 0

    cdef int compile_ids(self, text_ids) except -1:
        """Compile which ids are texts."""
        if text_ids is None:
            return 0
        read_key(&self.compiled.meaning.text_key, text_ids.key)
        self.compiled.meaning.text_client = text_ids.client
        self.compiled.meaning.text_tx = text_ids.tx
        return 0

    cdef Words keep_words(self, list words) except *:
        """Words that stay valid as long as this object: pairs of a text and the type that it means."""
        cdef Words kept
        cdef bytes text
        cdef Word* word
        kept.first = self.words + self.word_count
        kept.count = len(words)
        if self.word_count + kept.count > WORDS_MAX:
            raise ValueError(f"a dialect of more than {WORDS_MAX} words")
        for text, kind in words:
            self.texts.append(text)
            word = self.words + self.word_count
            word.text = text
            word.length = len(text)
            word.kind = kind
            self.word_count += 1
        return kept
