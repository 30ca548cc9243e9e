"""Words of messages."""

from __future__ import annotations

from txfast.text.words import counted, did_you_mean, nearest


def test_a_count_has_its_noun_and_separators() -> None:
    assert [counted(count, "row") for count in (0, 1, 2, 1234567)] == ["0 rows", "1 row", "2 rows", "1,234,567 rows"]
    assert [counted(count, "entry", "entries") for count in (1, 2)] == ["1 entry", "2 entries"]


def test_the_nearest_word_is_found_in_any_case() -> None:
    words = ("error", "warn", "info", "debug", "trace")
    assert [nearest(word, words) for word in ("inof", "INFO", "wran", "xyzzy")] == ["info", "info", "warn", None]
    assert did_you_mean("inof", words) == "; did you mean 'info'?"
    assert did_you_mean("xyzzy", words) == ""
    assert did_you_mean("A", ("AB",), "TX_") == "; did you mean 'TX_AB'?"


def test_the_beginning_of_a_word_is_taken_for_it_and_few_letters_in_common_are_not() -> None:
    options = ("checkpoint", "quiet", "color", "max-malformed", "memory-limit")
    assert did_you_mean("max", options, "--") == "; did you mean '--max-malformed'?"
    for other in ("account", "dialect", "columns", "m"):
        assert did_you_mean(other, options, "--") == ""
