"""What the standard library of a Python says of itself: its docstrings, read from its files, nothing imported."""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bottega.errors import DataError

_LEFT_OUT = {
    "__pycache__", "dist-packages", "ensurepip", "idle_test", "idlelib", "lib-dynload", "lib2to3", "pydoc_data",
    "site-packages", "test", "tests", "turtledemo",
}  # fmt: skip


@dataclass(frozen=True)
class Docstring:
    """An object that says something of itself.

    name: dotted, `json.dumps`. module: where it is defined. title: how it is called, `json.dumps(obj, *, skipkeys)`.
    text: its docstring without the indentation.
    """

    name: str
    module: str
    title: str
    text: str


def standard_library() -> Path:
    """Give the folder of this Python's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def read_docstrings(folder: Path) -> list[Docstring]:
    """Read the docstrings of the modules, classes and functions below a folder, by name.

    Left out are names that begin with `_`, objects inside of functions, tests, what is no part of the library itself
    (IDLE, demonstrations, installed packages), and files that this Python cannot parse. Of two objects of one name the
    first counts.

    Raises `DataError` for a folder without such a file: some Pythons come without their sources.
    """
    found: dict[str, Docstring] = {}
    for path in sorted(folder.rglob("*.py")):
        module = _module(path.relative_to(folder))
        if module is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's own: escapes that will no longer be
            try:
                tree = ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):
                continue
        for each in _objects(tree, module, module):
            found.setdefault(each.name, each)
    if not found:
        fix = "use a Python that has them, or a folder with *.py files: LibraryCorpus(source=Path('…'))"
        raise DataError(str(folder), "no docstring of a module", "the sources of a standard library", fix)
    return [found[name] for name in sorted(found)]


def _module(path: Path) -> str | None:
    """Give the dotted name of a file's module, or nothing for one that is left out."""
    parts = [*path.parts[:-1], path.stem]
    if not _LEFT_OUT.isdisjoint(parts) or parts[0].startswith("config-"):
        return None
    if parts[-1] == "__init__":
        parts.pop()
    public = all(part.isidentifier() and (not part.startswith("_") or part == "__future__") for part in parts)
    return ".".join(parts) if parts and public else None


def _objects(node: ast.AST, name: str, module: str) -> Iterator[Docstring]:
    """Give what a module or class defines, itself first, under conditions as well."""
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        text = ast.get_docstring(node)
        if text:
            yield Docstring(name, module, _title(node, name), text.encode(errors="replace").decode())
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if not child.name.startswith("_"):
                yield from _objects(child, f"{name}.{child.name}", module)
        elif isinstance(child, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
            yield from _objects(child, name, module)


def _title(node: ast.AST, name: str) -> str:
    match node:
        case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
            return f"{name}({ast.unparse(arguments)})".encode(errors="replace").decode()
        case ast.ClassDef():
            return f"class {name}"
    return name
