"""The manifest: a text that is not one is refused, and so is a field of another type."""

from __future__ import annotations

import pytest

from txfast.errors import StateError
from txfast.state import manifest


def test_a_text_without_fields_and_a_field_of_another_type_are_refused() -> None:
    for text in (b"[]", b"{}", b'"hash"', b"\xff", b"["):
        with pytest.raises(StateError, match="it is no manifest"):
            manifest.parse("m.json", text)
    fields = manifest.Fields("m.json", {"word": "red", "text": "\ud800\udfff\U0001f600", "list": [1, "2"]})
    with pytest.raises(StateError, match="word is not what it should be"):
        fields.choice("word", ("blue",))
    assert fields.choice("word", ("red",)) == "red"
    with pytest.raises(StateError, match="text is not what it should be"):
        fields.encoded("text")
    with pytest.raises(StateError, match="list is not what it should be"):
        fields.numbers("list")
    with pytest.raises(StateError, match=r"list: .* is not what it should be"):
        fields.parts("list")
