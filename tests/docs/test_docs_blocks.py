"""Every block of code in the documentation runs, page by page, or says why it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs_blocks import DOCS, RUNS, Block, blocks, opened, pages, unmarked

FOUND = {str(path.relative_to(DOCS)): blocks(path.read_text()) for path in pages()}
RUNNING = {name for name, found in FOUND.items() if any(one.kind in RUNS and not one.reason for one in found)}
NOT_RUN = {"flink.md": 3, "stores.md": 3}
"""How many blocks of a page cannot run; each says why."""


@pytest.mark.parametrize("name", sorted(RUNNING))
def test_the_blocks_of_a_page_run(name: str, tmp_path: Path) -> None:
    with opened(DOCS / name, tmp_path) as page:
        for block in FOUND[name]:
            if block.kind in RUNS and not block.reason:
                page.run(block)


def test_no_block_is_left_out_without_a_reason() -> None:
    assert {name: left for name, found in FOUND.items() if (left := unmarked(found))} == {}
    counted = {name: sum(bool(block.reason) for block in found) for name, found in FOUND.items()}
    assert {name: count for name, count in counted.items() if count} == NOT_RUN


def test_the_pages_that_teach_have_blocks_that_run() -> None:
    taught = {
        "tutorial.md",
        "semantics.md",
        *(f"how-to/{what}.md" for what in ("model", "store", "stage", "rule", "system")),
    }
    assert taught <= RUNNING


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (Block("python", ">>> 1 + 1\n3\n", 1), "Expected:\n    3"),
        (Block("python", "assert 1 == 2\n", 1), ""),
        (Block("console", "$ echo two\none\n", 1, checked=True), "prints\ntwo"),
        (Block("console", "$ false\n", 1), "false"),
        (Block("console", "$ true\n", 1, exits=3), "true"),
    ],
)
def test_a_block_that_says_what_is_not_so_fails(tmp_path: Path, block: Block, said: str) -> None:
    with opened(DOCS / "index.md", tmp_path) as page, pytest.raises(AssertionError) as raised:
        page.run(block)
    assert said in str(raised.value)


def test_what_a_page_defines_is_there_for_its_next_blocks(tmp_path: Path) -> None:
    with opened(DOCS / "index.md", tmp_path) as page:
        page.run(Block("python", "# written_here.py\nx = 2\n", 1))
        page.run(Block("python", "from written_here import x\n", 1))
        page.run(Block("python", ">>> y = x + 1\n>>> y\n3\n", 1))
        page.run(Block("python", "assert y == 3\n", 1))
        page.run(Block("console", "$ cat written_here.py\n# written_here.py\n...\n", 1, checked=True))


def test_marks_are_read() -> None:
    first = "<!-- not run: a real Kafka -->\n```python\nx\n```\n\n"
    text = f"{first}<!-- checked, exits with 3 -->\n```console\n$ y\n```\n```\nz\n```\n"
    marked, checked, plain = blocks(text)
    assert (marked.reason, marked.line, marked.checked, marked.exits) == ("a real Kafka", 3, False, 0)
    assert (checked.reason, checked.line, checked.checked, checked.exits) == ("", 8, True, 3)
    assert unmarked([marked, checked, plain]) == ["11: "]
