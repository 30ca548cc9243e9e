"""Lines that are nothing: skipped ones before the header, comments anywhere, blank ones. All of them count as lines."""

from __future__ import annotations

import pytest

from tests.support.dialect_replays import assert_refused, assert_rows

# ---- Skipped lines -------------------------------------------------------------------------------


def test_skipped_lines_are_nothing_and_are_counted() -> None:
    content = b"Account;1234\n\nFrom;2031-01-01\ntype,client,tx,amount\nfee,1,1,1\ndeposit,1,1,1\n"
    assert_rows(content, {"skip": "3"}, ["5 bad_type", "6 deposit 1 1 10000"])


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_a_skipped_line_ends_as_any_line_does(ending: bytes) -> None:
    lines = [b"a", b" ", b"", b"type,client,tx,amount", b"deposit,1,1,1"]
    assert_rows(ending.join(lines), {"skip": "3"}, ["5 deposit 1 1 10000"])
    assert_rows(ending.join(lines), {"skip": "1"}, ["5 deposit 1 1 10000"])  # blank lines are nothing by themselves


def test_endings_may_differ_among_skipped_lines() -> None:
    content = b"a\rb\r\nc\n\r\ntype,client,tx,amount\r\ndeposit,1,1,1"
    assert_rows(content, {"skip": "4"}, ["6 deposit 1 1 10000"])


@pytest.mark.parametrize("line", [b'"open', b'Account: "1234', b'a,"', b'"', b'x,"a""', b"it's", b'"a","b'])
def test_quotes_in_skipped_lines_mean_nothing(line: bytes) -> None:
    content = line + b'\ntype,client,tx,amount\ndeposit,1,1,"1"\n'
    assert_rows(content, {"skip": "1"}, ["3 deposit 1 1 10000"])
    assert_rows(content, {"skip": "1", "quote": "'"}, ["3 bad_amount"])


def test_skipped_lines_come_after_a_byte_order_mark() -> None:
    content = b"\xef\xbb\xbfAccount\ntype,client,tx,amount\ndeposit,1,1,1\n"
    assert_rows(content, {"skip": "1"}, ["3 deposit 1 1 10000"])
    text = 'Account "ü\ntype\tclient\ttx\tamount\ndeposit\t1\t1\t1\n'
    assert_rows(text.encode("utf-16"), {"skip": "1"}, ["3 deposit 1 1 10000"])


def test_skipped_lines_may_hold_what_looks_like_a_header_or_rows() -> None:
    content = b"type,client,tx,amount\ndeposit,6,6,6\nTYPE,CLIENT,TX,AMOUNT\ndeposit,1,1,1\n"
    assert_rows(content, {"skip": "2"}, ["4 deposit 1 1 10000"])


def test_lines_are_skipped_where_there_is_no_header() -> None:
    content = b"a;b\ndeposit,1,1,1\n"
    assert_rows(content, {"skip": "1", "header": "no"}, ["2 deposit 1 1 10000"])


def test_a_file_of_skipped_lines_has_no_header() -> None:
    for skip in ("2", "3", "1000000"):
        assert_refused(b"type,client,tx,amount\ndeposit,1,1,1\n", {"skip": skip})


def test_lines_are_skipped_in_each_file() -> None:
    content = b"x\ntype,client,tx,amount\ndeposit,%d,1,1\n"
    for client in (1, 2):
        assert_rows(content % client, {"skip": "1"}, [f"3 deposit {client} 1 10000"])


def test_a_long_line_may_be_skipped() -> None:
    content = b"x" * 300_000 + b'"\ntype,client,tx,amount\ndeposit,1,1,1\n'
    assert_rows(content, {"skip": "1"}, ["3 deposit 1 1 10000"])


# ---- Comments ------------------------------------------------------------------------------------


def test_comments_are_nothing_before_and_after_the_header() -> None:
    content = (
        b"# made by the nightly export\n"
        b"  \t# another\n"
        b"type,client,tx,amount\n"
        b"# first client\n"
        b"deposit,1,1,1\n"
        b"#deposit,1,2,1\n"
        b"\v\f #\n"
        b"deposit,1,3,1\n"
        b"#"
    )
    assert_rows(content, {"comment": "#"}, ["5 deposit 1 1 10000", "8 deposit 1 3 10000"])


@pytest.mark.parametrize("comment", ["#", "//", "--", ";", "*** ", "rem", "Ü", "%%%%%%%%%%%%%%%%"])
def test_a_comment_has_a_prefix_of_up_to_sixteen_bytes(comment: str) -> None:
    prefix = comment.strip()
    lines = [
        "type,client,tx,amount",
        f"{comment}x",
        f"  {comment}",
        f"{prefix[:-1]}x,1,1,1",
        "deposit,1,1,1",
        f"x{comment}",
    ]
    expected = ["4 bad_type", "5 deposit 1 1 10000", "6 missing_field"]
    assert_rows("\n".join(lines).encode(), {"comment": comment.strip()}, expected)


def test_a_prefix_counts_in_its_own_case() -> None:
    content = b"rem x\ntype,client,tx,amount\nREM,1,1,1\nremark,1,1,1\ndeposit,1,1,1\n"
    assert_rows(content, {"comment": "rem"}, ["3 bad_type", "5 deposit 1 1 10000"])


@pytest.mark.parametrize("line", [b'# "open', b'#"', b'"#"x', b'# a,"b', b'#"a""', b'# """', b"#'"])
def test_quotes_in_comments_mean_nothing(line: bytes) -> None:
    first = line if line.startswith(b"#") else b"# " + line
    content = (
        first + b"\ntype,client,tx,amount,note\n" + first + b'\ndeposit,1,1,1,"a\nb"\n' + first + b"\ndeposit,1,2,1\n"
    )
    assert_rows(content, {"comment": "#"}, ["4 deposit 1 1 10000", "7 deposit 1 2 10000"])


def test_a_quoted_field_that_begins_with_the_prefix_is_no_comment() -> None:
    content = b'type,client,tx,amount\n"#",1,1,1\ndeposit,1,1,1\n'
    assert_rows(content, {"comment": "#"}, ["2 bad_type", "3 deposit 1 1 10000"])


def test_a_line_inside_a_quoted_field_is_no_comment() -> None:
    content = b'note,type,client,tx,amount\n"a\n# b",deposit,1,1,1\n"\n#\n#",deposit,1,2,1\n# "\nx,deposit,1,3,1\n'
    expected = ["2 deposit 1 1 10000", "4 deposit 1 2 10000", "8 deposit 1 3 10000"]
    assert_rows(content, {"comment": "#"}, expected)


def test_a_header_of_several_lines_may_hold_the_prefix() -> None:
    content = b'#x\n"a\n#b",type,client,tx,amount\n#c\nx,deposit,1,1,1\n'
    assert_rows(content, {"comment": "#"}, ["5 deposit 1 1 10000"])


def test_a_line_after_a_stray_quote_may_be_a_comment() -> None:
    content = b'type,client,tx,amount\ndeposit,1,1,"1\n# "x"\ndeposit,1,2,1\n'
    assert_rows(content, {"comment": "#"}, ["2 bad_quoting", "4 deposit 1 2 10000"])


def test_a_prefix_behind_the_first_field_is_text() -> None:
    content = b"type,client,tx,amount,note\ndeposit,1,1,1,# x\ndeposit #,1,1,1\n,#,1,1\n"
    assert_rows(content, {"comment": "#"}, ["2 deposit 1 1 10000", "3 bad_type", "4 missing_field"])


def test_a_tab_that_separates_is_no_blank_before_a_comment() -> None:
    content = b"#\ntype\tclient\ttx\tamount\n\t# x\n # x\ndeposit\t1\t1\t1\n"
    assert_rows(content, {"delimiter": "tab", "comment": "#"}, ["3 missing_field", "5 deposit 1 1 10000"])


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_a_comment_ends_with_its_line(ending: bytes) -> None:
    content = ending.join([b"#", b"# x", b"type,client,tx,amount", b"#", b"#", b"deposit,1,1,1", b"fee,1,1,1", b"#"])
    assert_rows(content, {"comment": "#"}, ["6 deposit 1 1 10000", "7 bad_type"])


def test_a_comment_may_be_the_start_of_type_words_and_of_names() -> None:
    content = b"type,client,tx,amount\ndeposit,1,1,1\nDeposit,1,2,1\n"
    assert_rows(content, {"comment": "dep"}, ["3 deposit 1 2 10000"])


def test_comments_are_nothing_where_there_is_no_header() -> None:
    content = b'# "x\ndeposit,1,1,1\n#\ndeposit,1,2,1\n'
    assert_rows(content, {"comment": "#", "header": "no"}, ["2 deposit 1 1 10000", "4 deposit 1 2 10000"])


def test_skipped_lines_are_counted_before_comments() -> None:
    content = b"#1\n#2\nx\n#3\ntype,client,tx,amount\ndeposit,1,1,1\n"
    assert_rows(content, {"comment": "#", "skip": "3"}, ["6 deposit 1 1 10000"])
    assert_refused(content, {"comment": "#", "skip": "2"})
    assert_refused(content, {"skip": "3"})


def test_without_a_prefix_there_are_no_comments() -> None:
    content = b"type,client,tx,amount\n# x\ndeposit,1,1,1\n"
    assert_rows(content, {}, ["2 missing_field", "3 deposit 1 1 10000"])


@pytest.mark.untraced
def test_a_comment_of_more_than_one_mib_is_nothing() -> None:
    content = b"type,client,tx,amount\n#" + b'"x,' * 600_000 + b"\ndeposit,1,1,1\n"
    assert_rows(content, {"comment": "#"}, ["3 deposit 1 1 10000"])
