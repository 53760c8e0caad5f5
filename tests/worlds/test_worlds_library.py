"""The library corpus says what the library says, by its rule, and neither gives the answers away nor hides them."""

from __future__ import annotations

import importlib
import inspect
import json
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from bottega.errors import DataError, DesignError
from bottega.files import sha256
from bottega.worlds import write_world
from bottega.worlds.library import LibraryCorpus, first_sentence, query_of, split_of

TABLES = {
    "corpus": {"doc_id": "string", "title": "string", "text": "string"},
    "queries": {"query_id": "int64", "text": "string", "split": "string"},
    "qrels": {"query_id": "int64", "doc_id": "string", "grade": "int64", "split": "string"},
}
LONG = "It takes a number of things, and it gives them back in the order that was asked for."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("library")
    write_world("library", made, seed=0)
    return made


def rows(folder: Path, name: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return found


def test_the_tables_have_scifacts_columns(folder: Path) -> None:
    for name, columns in TABLES.items():
        schema = pq.read_schema(folder / f"{name}.parquet")
        assert {field.name: str(field.type) for field in schema} == columns
    names, queries = [row["doc_id"] for row in rows(folder, "corpus")], rows(folder, "queries")
    assert len(set(names)) == len(names)
    assert names == sorted(names)
    assert [row["query_id"] for row in queries] == list(range(len(queries)))
    assert len({row["text"] for row in queries}) == len(queries)
    parts = {row["query_id"]: row["split"] for row in queries}
    qrels = rows(folder, "qrels")
    assert {row["query_id"] for row in qrels} == set(parts)
    assert {row["doc_id"] for row in qrels} <= set(names)
    assert all(row["grade"] == 1 and row["split"] == parts[row["query_id"]] for row in qrels)


def test_there_are_thousands_of_documents_and_each_part_has_its_queries(folder: Path) -> None:
    documents, queries = rows(folder, "corpus"), rows(folder, "queries")
    assert 3_000 < len(documents) < 10_000
    assert 800 < len(queries) < 3_000
    share = {part: count / len(queries) for part, count in Counter(row["split"] for row in queries).items()}
    assert share.keys() == {"train", "validation", "test"}
    assert 0.4 < share["train"] < 0.75
    assert min(share["validation"], share["test"]) > 0.1
    facts = json.loads((folder / "truth" / "library.json").read_text())
    assert facts == {"python": platform.python_version(), "documents": len(documents), "queries": len(queries)}


@pytest.mark.parametrize("name", ["json.dumps", "difflib.get_close_matches", "textwrap.TextWrapper", "heapq"])
def test_documents_say_what_python_says(folder: Path, name: str) -> None:
    """What the files say is what the imported objects say."""
    module, _, own = name.rpartition(".")
    thing = getattr(importlib.import_module(module), own) if module else importlib.import_module(name)
    document = next(row for row in rows(folder, "corpus") if row["doc_id"] == name)
    said = str(inspect.getdoc(thing))
    assert said.split() == [*first_sentence(said)[0].split(), *str(document["text"]).split()]
    if inspect.isfunction(thing):
        assert str(document["title"]).partition("(")[0] == name
        asked = inspect.signature(thing).parameters
        assert all(parameter in str(document["title"]) for parameter in asked)


def test_nothing_of_the_library_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bottega.worlds.library import LibraryCorpus\n"
        f"before = set(sys.modules); LibraryCorpus().write(Path({str(tmp_path / 'made')!r}))\n"
        "names = {'antigravity', 'this', 'turtle', 'tkinter', 'idlelib', 'distutils', 'cgitb'}\n"
        "sys.exit(len((set(sys.modules) - before) & names))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def planted(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def corpus(folder: Path, source: Path) -> tuple[dict[object, object], dict[object, list[object]]]:
    """The texts by document, and the documents by query."""
    LibraryCorpus(source=source).write(folder)
    texts = {row["query_id"]: row["text"] for row in rows(folder, "queries")}
    answers: dict[object, list[object]] = {text: [] for text in texts.values()}
    for row in rows(folder, "qrels"):
        answers[texts[row["query_id"]]].append(row["doc_id"])
    return {row["doc_id"]: row["title"] for row in rows(folder, "corpus")}, answers


def test_objects_are_found_wherever_they_are_defined(tmp_path: Path) -> None:
    body = f'''"""A module."""
class Shape:
    """A shape."""
    def draw(self, at, *, size=1.5):
        """Put this on a page of paper. {LONG}"""
        def inner():
            """Not public."""
    def _hidden(self):
        """Not public."""
    def silent(self):
        pass
try:
    import nothing_of_this_name
except ImportError:
    async def load(path: str = "a") -> None:
        """Take it from a file. Or not."""
else:
    def load(path):
        """Another."""
raise SystemExit("nobody runs this")
'''
    source = planted(
        tmp_path / "lib",
        {
            "shapes.py": body,
            "package/__init__.py": '"""A package."""',
            "package/part.py": f'def place():\n    """Put this on a page of paper! {LONG}"""',
            "_private.py": '"""Hidden."""',
            "test/test_shapes.py": '"""Hidden."""',
            "idlelib/a.py": '"""Hidden."""',
            "site-packages/a.py": '"""Hidden."""',
            "broken.py": '"""Hidden."""\nprint "so"',
            "odd-name.py": '"""Hidden."""',
            "escape.py": 'def odd():\n    "A lone \\ud800 and \\d."',
        },
    )
    titles, answers = corpus(tmp_path / "made", source)
    assert titles == {
        "escape.odd": "escape.odd()",
        "package": "package",
        "package.part.place": "package.part.place()",
        "shapes": "shapes",
        "shapes.Shape": "class shapes.Shape",
        "shapes.Shape.draw": "shapes.Shape.draw(self, at, *, size=1.5)",
        "shapes.load": "shapes.load(path: str='a')",
    }
    assert answers == {"Put this on a page of paper": ["package.part.place", "shapes.Shape.draw"]}


@pytest.mark.parametrize(
    ("name", "sentence", "query"),
    [
        ("a.f", "Serialize an object to a text.", "Serialize an object to a text"),
        ("a.object_text", "Serialize an Object to a formatted text.", "Serialize an to a formatted"),
        ("a.ObjectText", "Serialize the object_text to a formatted one.", "Serialize the to a formatted one"),
        ("object.f", "Serialize an object to a text.", "Serialize an object to a text"),
        ("a.f", "Take it, e.g. a file, from there.", "Take it e g a file from there"),
        ("a.f", "Take version 2.5 of it\nall, please! Now", "Take version 2 5 of it all please"),
        ("a.f", "Too few words left", ""),
        ("a.few_left", "Too few words are left here.", ""),
    ],
)
def test_queries_follow_the_rule(name: str, sentence: str, query: str) -> None:
    assert query_of(name, f"{sentence}\n\n{LONG}") == query
    assert query_of(name, sentence) == ""


def test_one_seed_gives_the_same_bytes_and_another_other_parts(folder: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 3)):
        LibraryCorpus(seed=seed).write(tmp_path / name)
    for name in TABLES:
        first, same, other = (sha256(each / f"{name}.parquet") for each in (folder, tmp_path / "a", tmp_path / "b"))
        assert first == same
        assert (first == other) == (name == "corpus")
    assert [split_of("json", seed) for seed in (0, 1)] == [split_of("json", seed) for seed in (0, 1)]


def test_word_counts_find_some_of_the_answers_and_far_from_all(folder: Path) -> None:
    documents = rows(folder, "corpus")
    queries = [row for row in rows(folder, "queries") if row["split"] == "test"]
    places = {row["doc_id"]: place for place, row in enumerate(documents)}
    relevant: dict[object, set[int]] = {row["query_id"]: set() for row in queries}
    for row in rows(folder, "qrels"):
        if row["query_id"] in relevant:
            relevant[row["query_id"]].add(places[row["doc_id"]])
    counter = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    terms = counter.fit_transform([f"{row['title']} {row['text']}" for row in documents])
    scores = (counter.transform([str(row["text"]) for row in queries]) @ terms.T).toarray()
    gains = []
    for score, row in zip(scores, queries, strict=True):
        best, answers = np.argsort(-score, kind="stable")[:10], relevant[row["query_id"]]
        ideal = sum(1 / np.log2(place + 2) for place in range(min(10, len(answers))))
        gains.append(sum(1 / np.log2(place + 2) for place, at in enumerate(best) if at in answers) / ideal)
    assert 0.2 < np.mean(gains) < 0.6


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    for seed in (-1, 1.5, True, "0"):
        with pytest.raises(DesignError) as caught:
            LibraryCorpus(seed=seed)  # type: ignore[arg-type]
        assert caught.value.where == "LibraryCorpus.seed"
    with pytest.raises(DataError, match="no docstring"):
        LibraryCorpus(source=tmp_path).write(tmp_path / "made")
    (tmp_path / "corpus.parquet").touch()
    with pytest.raises(DataError, match=r"corpus\.parquet"):
        LibraryCorpus().write(tmp_path)
    with pytest.raises(DesignError, match="size is not set in rows"):
        write_world("library", tmp_path / "sized", seed=0, rows=10)
