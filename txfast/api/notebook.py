"""Tables as a notebook shows them."""

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence


def html_table(names: "Sequence[str]", rows: "Sequence[tuple[object, ...]]", count: int, what: str) -> str:
    """Rows as an HTML table, with a last line that says how many rows there are in all."""
    from html import escape

    def line(cells: "tuple[object, ...]", tag: str) -> str:
        contents = (cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "surrogateescape") for cell in cells)
        texts = (content.decode("utf-8", "backslashreplace") for content in contents)
        return "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    shown = f"{count:,} {what}" if len(rows) == count else f"the first {len(rows)} of {count:,} {what}"
    return f"<table><caption>{shown}</caption>{line(tuple(names), 'th')}{body}</table>"
