"""A finding points to the line that a person wrote: held against files in which every part stands where it is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import bottega as bt
from bottega import systems
from bottega.design.part import Part
from bottega.reviewing.lines import NoLines, PythonLines, YamlLines, lines_of, steps


def parts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a design that differs from its default, by its path."""
    if isinstance(value, Part):
        written = msgspec.to_builtins(value)
        fields = (
            (f"{path}.{name}".lstrip("."), getattr(value, name)) for name in value.__struct_fields__ if name in written
        )
    elif isinstance(value, dict):
        fields = ((f"{path}.{name}", item) for name, item in value.items() if str(name).isidentifier())
    elif isinstance(value, tuple):
        fields = ((f"{path}[{place}]", item) for place, item in enumerate(value))
    else:
        return
    for name, item in fields:
        yield name, item
        yield from parts(item, name)


def written(value: Any) -> str:
    """A part as Python, every field by its name and on a line of its own."""
    if isinstance(value, Part):
        fields = "".join(f"{name}={written(getattr(value, name))},\n" for name in value.__struct_fields__)
        return f"bt.{type(value).__name__}(\n{fields})"
    if isinstance(value, dict):
        return "{" + "".join(f"{name!r}: {written(item)},\n" for name, item in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + "".join(f"{written(item)},\n" for item in value) + "]"
    return repr(value)


@pytest.mark.parametrize("name", systems.names())
def test_every_part_of_a_python_file_is_found_where_it_stands(name: str) -> None:
    source = f"import bottega as bt\ndesign = {written(systems.find(name))}\n"
    lines, known = source.splitlines(), PythonLines(source)
    for path, value in parts(systems.find(name)):
        line, column = known.spot(path)
        rest, last = lines[line - 1][column - 1 :], steps(path)[-1]
        if isinstance(last, str):
            assert rest.startswith((f"{last}=", f"{last!r}: ")), path
        else:
            assert rest.startswith(written(value).splitlines()[0]), path


@pytest.mark.parametrize("name", systems.names())
def test_every_part_of_a_yaml_file_is_found_where_it_stands(name: str) -> None:
    source = bt.to_yaml(systems.find(name))
    lines, known = source.splitlines(), YamlLines(source)
    for path, _ in parts(systems.find(name)):
        line, column = known.spot(path)
        last = steps(path)[-1]
        if isinstance(last, str):
            assert lines[line - 1][column - 1 :].lstrip("'\"").startswith(last), path
        else:
            assert lines[line - 1][: column - 1].rstrip().endswith("-"), path


@pytest.mark.parametrize("name", systems.names())
def test_json_is_read_as_yaml_is(name: str) -> None:
    source = bt.to_json(systems.find(name)).decode()
    lines, known = source.splitlines(), YamlLines(source)
    for path, _ in parts(systems.find(name)):
        line, column = known.spot(path)
        if isinstance(last := steps(path)[-1], str):
            assert lines[line - 1][column - 1 :].startswith(f'"{last}"'), path


WRITTEN = """\
import msgspec
import bottega as bt
from elsewhere import base, more

SPLIT: bt.RandomSplit = bt.RandomSplit()
FIRST = [bt.Window("t", "who", {"n": "count(*)"})]
NAMED = {"labels": [bt.Label("a"),
                    bt.Label("b")]}
later = bt.Design("d", bt.Scope("why"), bt.Data(
    [bt.Table("t")], bt.Logged("t", ["who"]), split=SPLIT, **NAMED),
    [*FIRST, bt.Lookup("t", "who",
                       ["c"], ttl="1d"),
     *[bt.Cross(one, "b") for one in ("x", "y")], *(more)],
    {"rank": [bt.Logistic()] + [bt.DCN(), bt.DLRM()]},
    evaluation=make(),
)
design = msgspec.structs.replace(
    later, serving=bt.Serving([bt.Rank()]), models=later.models | {"click": [bt.DCN(
        loss="focal")]}
)
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("data", 9),
        ("data.tables[0]", 10),
        ("data.tables[0].time", 10),
        ("data.split", 10),
        ("data.split.seed", 5),
        ("data.labels[1]", 8),
        ("features[0]", 6),
        ("features[0].over", 6),
        ("features[1]", 11),
        ("features[1].columns", 12),
        ("features[1].ttl", 12),
        ("features[3]", 13),
        ("scope.limits", 9),
        ("evaluation.goals[2]", 15),
        ("serving.path[0].budget_ms", 18),
        ("models.click[0].loss", 19),
        ("monitoring", 17),
        ("nothing.of[7].that", 17),
    ],
)
def test_names_copies_and_lists_are_followed(path: str, line: int) -> None:
    assert PythonLines(WRITTEN).spot(path)[0] == line


def test_columns_count_characters() -> None:
    source = 'import bottega as bt\ndesign = bt.Design("d", bt.Scope("größer als früher?"), data=1)\n'
    assert PythonLines(source).spot("data") == (2, source.splitlines()[1].index("data=") + 1)


@pytest.mark.parametrize("source", ["design = (", "", "x = 1", "design = make()", "def f(:", "design = design", "\0"])
def test_what_cannot_be_followed_is_its_first_line(source: str) -> None:
    assert PythonLines(source).spot("data.split")[0] == 1


@pytest.mark.parametrize("source", ["", "a: [", "- 1", "7", "data: 3"])
def test_yaml_that_is_no_design_is_its_first_line(source: str) -> None:
    assert YamlLines(source).spot("data.split")[0] == 1


def test_the_kind_of_file_decides(tmp_path: Path) -> None:
    (tmp_path / "d.py").write_text("design = 1")
    (tmp_path / "d.yaml").write_text("a: 1")
    (tmp_path / "d.json").write_bytes(b"\xff\xfe")
    kinds = [type(lines_of(tmp_path / name)) for name in ("d.py", "d.yaml", "d.json", "gone.py")]
    assert kinds == [PythonLines, YamlLines, NoLines, NoLines]
    assert NoLines().spot("data") == (0, 0)
