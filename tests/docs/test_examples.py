"""The examples of the pages: they run, in order, in an empty folder, and print what the pages say."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.examples import RUNNABLE, SHOWN, differences, fits, is_run, variables_for, write
from tests.docs.pages import blocks_of, name_of, pages
from tests.support.command import COMMAND
from tests.support.project import PROJECT_ROOT

pytestmark = pytest.mark.unmeasured

PAGES_WITH_EXAMPLES = [page for page in pages() if any(map(is_run, blocks_of(page)))]

# The blocks that no test runs, by page and reason. Any other block runs.
NOT_RUN = {
    ("CONTRIBUTING.md", "builds the project"): 1,
    ("CONTRIBUTING.md", "runs the tests"): 1,
    ("README.md", "installs, and runs this very test"): 1,
    ("docs/explanation/benchmarks.md", "takes minutes"): 1,
    ("docs/guides/cluster.md", "installs"): 1,
    ("docs/guides/data-frames.md", "installs"): 1,
    ("docs/guides/cluster.md", "needs a cluster"): 3,
    ("docs/guides/files.md", "needs a bucket"): 1,
    ("docs/reference/command.md", "changes a shell's set-up"): 1,
}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_WITH_EXAMPLES, ids=name_of)
def test_a_page_says_what_happens(page: Path, tmp_path: Path) -> None:
    before = names_in_the_project()
    found = [str(each) for each in differences(page, tmp_path)]
    assert not found, "\n".join(found)
    assert names_in_the_project() == before


def names_in_the_project() -> list[str]:
    return sorted(path.name for path in PROJECT_ROOT.glob("[!.]*"))


def test_only_a_few_blocks_are_not_run() -> None:
    reasons = Counter(
        (name_of(page), reason)
        for page in pages()
        for block in blocks_of(page)
        if (reason := block.note("not run")) is not None
    )
    assert dict(reasons) == NOT_RUN


def test_a_page_names_the_packages_that_its_examples_need() -> None:
    missing = [
        f"{block.where}: {package}"
        for page in pages()
        for block in blocks_of(page)
        for package in (block.note("with") or "").split()
        if not re.search(rf"pip install [^`\n]*\b{package}\b", page.read_text(encoding="utf-8"))
    ]
    assert missing == []


def test_examples_of_other_packages_can_be_left_out(tmp_path: Path) -> None:
    text = """\
<!-- with: missing -->
```python
import missing
```

```console
$ echo one
two
```
"""
    page = page_of(tmp_path, text)
    assert [each.happened for each in differences(page, tmp_path, plain=True)] == ["$ echo one\none\n"]
    with pytest.raises(AssertionError):
        list(differences(page, tmp_path))


def test_every_block_has_a_language_that_says_whether_it_runs() -> None:
    blocks = [block for page in pages() for block in blocks_of(page)]
    assert [block.where for block in blocks if block.language not in RUNNABLE + SHOWN] == []
    assert [block.where for block in blocks if block.note("output") is not None and block.language != "text"] == []


def test_the_command_page_shows_the_help_to_the_letter(tmp_path: Path) -> None:
    """In other examples `…` stands for any text, but the help has such a sign of its own."""
    [page] = [page for page in pages() if name_of(page) == "docs/reference/command.md"]
    [shown] = [block.text for block in blocks_of(page) if block.text.startswith("$ txfast -h\n")]
    printed = subprocess.run(
        [COMMAND, "-h"], env=variables_for(tmp_path), capture_output=True, text=True, check=True
    ).stdout
    assert shown == f"$ txfast -h\n{printed}"


# ---- What runs them ------------------------------------------------------------------------------


def page_of(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


def run(folder: Path, text: str) -> list[str]:
    """What happens in each block that says something else."""
    examples = folder / "examples"
    examples.mkdir()
    return [each.happened for each in differences(page_of(folder, text), examples)]


def test_an_ellipsis_stands_for_any_text() -> None:
    assert fits("a …, b\n…\n", "a 1, b\nc\nd\n")
    assert not fits("a …, b\n", "a 1, c\n")


def test_blocks_run_in_order_in_one_folder(tmp_path: Path) -> None:
    text = """\
<!-- file: a.txt -->
```text
one
```

```console
$ cat a.txt
one
$ (exit 3)
$ echo $?
3
```

```python
print(open("a.txt").read().upper(), end="")
```

<!-- output -->
```text
ONE
```
"""
    assert run(tmp_path, text) == []


def test_a_difference_is_found_and_mended(tmp_path: Path) -> None:
    text = "```console\n$ echo one; echo two\none\n```\n\n```python\nprint(1)\n```\n\n<!-- output -->\n```text\n```\n"
    assert run(tmp_path, text) == ["$ echo one; echo two\none\ntwo\n", "1\n"]
    page = tmp_path / "page.md"
    again = tmp_path / "again"
    again.mkdir()
    write(page, list(differences(page, again)))
    assert list(differences(page, again)) == []


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nfalse\n```\n",
        "```python\n1 / 0\n```\n",
        "```python\nprint(1)\n```\n",
        "```pycon\n>>> 1\n2\n```\n",
        "```console\nno command\n```\n",
        "```text\nnever closed\n",
    ],
)
def test_a_block_that_fails_fails_the_test(tmp_path: Path, text: str) -> None:
    with pytest.raises(AssertionError):
        run(tmp_path, text)
