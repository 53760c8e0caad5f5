"""The library: a corpus to search that every Python carries, the standard library's own documentation.

A document is a module, class or function that has a docstring: its dotted name is the id, how it is called the title,
and the docstring without its first sentence the text. The queries are those first sentences, by this rule:

1. The first sentence ends at the first `.`, `!` or `?` before a space, or else with the paragraph.
2. The words of the object's own name are left out, `get_close_matches` as `get`, `close` and `matches`, in any case.
3. It is a query where at least 5 words are left of it, and 10 of the docstring after it.
4. The object is relevant, grade 1; where equal queries come of several objects, all of them are.
5. The parts are drawn by a hash of the module of the query's first object: 60 % train, 20 % validation, 20 % test.

The tables have the columns of SciFact: `corpus.parquet` (doc_id, title, text), `queries.parquet` (query_id, text,
split), `qrels.parquet` (query_id, doc_id, grade, split). Ids of documents are text here, and numbers there.

It is no judged collection. A first sentence is nearer to its docstring's other words than a person's question is; an
object that answers as well and is not the query's own counts as wrong; half of the documents have a title alone, and
nothing asks for them. Another Python has other texts, so that figures compare only under one version, which
`truth/library.json` holds. Nothing of it is shipped: the texts, under the licence of the Python Software Foundation,
are read from the Python that runs.
"""

from __future__ import annotations

import hashlib
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bottega.errors import DesignError
from bottega.files import write_json, writing
from bottega.worlds import refuse_present
from bottega.worlds.library_docs import Docstring, read_docstrings, standard_library

__all__ = ["LibraryCorpus", "query_of", "split_of", "world"]

LEAST_WORDS, LEAST_TEXT = 5, 10
_WRITTEN = ("corpus.parquet", "queries.parquet", "qrels.parquet", "truth")
_PARTS = {"train": 0.6, "validation": 0.8, "test": 1.0}  # up to which share of the hashes
_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\betc)[.!?](?=\s|$)")
_WORD = re.compile(r"[\w']+")
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")  # of a name: CamelCase, snake_case, digits


@dataclass(frozen=True)
class LibraryCorpus:
    """The documentation of a Python's standard library, as documents and queries whose answers are known.

    It is wrong as a measure of how people's questions are answered; it tells ways of searching apart, and shows that a
    design works, without any data at hand.

    The same Python and seed give the same bytes, with the same version of PyArrow.

    >>> import tempfile
    >>> home, source = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    >>> _ = (source / "shapes.py").write_text('\"\"\"Shapes that can be drawn.\"\"\"')
    >>> LibraryCorpus(source=source).write(home)
    >>> pq.read_table(home / "corpus.parquet").to_pylist()
    [{'doc_id': 'shapes', 'title': 'shapes', 'text': ''}]
    """

    seed: int = 0
    """Start of the draw of parts, from 0; another one parts the modules otherwise."""
    source: Path | None = None
    """The folder of the library's files; none: that of the Python that runs."""

    def __post_init__(self) -> None:
        if not (isinstance(self.seed, int) and not isinstance(self.seed, bool) and 0 <= self.seed <= 2**63):
            raise DesignError("LibraryCorpus.seed", repr(self.seed), "a whole number from 0 to 9.22337e+18", "seed=0")

    def write(self, folder: Path) -> None:
        """Write the three tables, and `truth/library.json` with the version of the Python read, below a folder.

        Raises `DataError` where one of them is there, and for a Python without its sources.
        """
        refuse_present(folder, _WRITTEN)
        documents = read_docstrings(self.source or standard_library())
        asked: dict[str, list[Docstring]] = {}
        for document in documents:
            if query := query_of(document.name, document.text):
                asked.setdefault(query, []).append(document)
        parts = [split_of(answers[0].module, self.seed) for answers in asked.values()]
        pairs = [(number, answer.name) for number, answers in enumerate(asked.values()) for answer in answers]
        tables = {
            "corpus": {
                "doc_id": [document.name for document in documents],
                "title": [document.title for document in documents],
                "text": [first_sentence(document.text)[1] for document in documents],
            },
            "queries": {"query_id": pa.array(range(len(asked)), pa.int64()), "text": list(asked), "split": parts},
            "qrels": {
                "query_id": pa.array([number for number, _ in pairs], pa.int64()),
                "doc_id": [name for _, name in pairs],
                "grade": pa.array([1] * len(pairs), pa.int64()),
                "split": [parts[number] for number, _ in pairs],
            },
        }
        for name, columns in tables.items():
            with writing(folder / f"{name}.parquet") as path:
                pq.write_table(pa.table({key: _column(values) for key, values in columns.items()}), path)
        facts = {"python": platform.python_version(), "documents": len(documents), "queries": len(asked)}
        write_json(folder / "truth" / "library.json", facts)


def world(seed: int) -> LibraryCorpus:
    """Give the corpus as it stands in for a person's data."""
    return LibraryCorpus(seed=seed)


def first_sentence(text: str) -> tuple[str, str]:
    """Part a docstring into its first sentence, on one line, and what comes after it."""
    paragraph, _, rest = text.partition("\n\n")
    end = _END.search(paragraph)
    place = end.end() if end else len(paragraph)
    return " ".join(paragraph[:place].split()), f"{paragraph[place:].strip()}\n\n{rest.strip()}".strip()


def query_of(name: str, text: str) -> str:
    """Give the query that a docstring makes, or nothing, by the rule that the module's first lines state.

    >>> query_of("difflib.get_close_matches", "Use a ratio to return the best matches.\\n\\n" + "word " * 10)
    'Use a ratio to return the best'
    >>> query_of("difflib.restore", "Generate one of the two sequences.")
    ''
    """
    own = _pieces(name.rpartition(".")[2])
    sentence, rest = first_sentence(text)
    kept = [word for word in _WORD.findall(sentence) if not _named(word, own)]
    return " ".join(kept) if len(kept) >= LEAST_WORDS and len(rest.split()) >= LEAST_TEXT else ""


def split_of(module: str, seed: int) -> str:
    """Give the part that a module's queries belong to."""
    digest = hashlib.sha256(f"{seed} {module}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    return next(part for part, upto in _PARTS.items() if share < upto)


def _named(word: str, own: set[str]) -> bool:
    """Say whether a word is of an object's own name, or is made of such words."""
    pieces = _pieces(word)
    return word.lower() in own or (bool(pieces) and pieces <= own)


def _pieces(name: str) -> set[str]:
    return {piece.lower() for piece in _PIECE.findall(name)}


def _column(values: list[str] | pa.Array) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, pa.string())
