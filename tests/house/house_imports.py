"""Reads who imports whom from the source, and holds it against the order of the rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOMS = (
    "errors", "files", "design", "metrics", "data", "features", "models", "evaluation", "serving", "monitoring", "runs",
    "reviewing", "reporting", "worlds", "systems", "proposals", "testing", "verbs", "cli",
    "__main__",
)  # fmt: skip
STEPS = (
    "part", "scope", "tables", "examples", "data", "features", "scorers", "indexes", "retrievers", "encoders", "models",
    "evaluation", "reranking", "serving", "monitoring", "design",
)  # fmt: skip
USERS = ("worlds", "systems")  # rooms that may use the package's face, as a person does


@dataclass(frozen=True)
class Import:
    """One import of a module of the package: who, on which line, whom, and whether it runs when `who` is loaded."""

    file: Path
    line: int
    who: str
    whom: str
    now: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.who} imports {self.whom}"


def modules(package: Path) -> dict[str, Path]:
    """Every module of a package and its file; a package's own name stands for its `__init__.py`."""
    found = {}
    for file in sorted(package.rglob("*.py")):
        parts = [package.name, *file.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(package: Path) -> list[Import]:
    """Every import that one file of the package makes of another, wherever in the file it stands."""
    known = modules(package)
    found = []
    for who, file in known.items():
        package_itself = file.name == "__init__.py"
        found += [
            Import(file, node.lineno, who, _module(name, known), now)
            for node, now in _nodes(ast.parse(file.read_text("utf-8"), str(file)), True)
            for name in _names(node, who, package_itself)
        ]
    return [one for one in found if one.whom.split(".")[0] == package.name]


def wrong_imports(package: Path) -> list[str]:
    """Every import that goes against the order of the rooms, as `file:line: who imports whom: why`."""
    return [f"{found}: {why}" for found in imports(package) if (why := _fault(found))]


def circles(package: Path) -> list[list[str]]:
    """Every set of files that import each other in a loop, imports in functions and for the type checker included."""
    uses: dict[str, set[str]] = {name: set() for name in modules(package)}
    for found in imports(package):
        if found.whom != found.who:
            uses[found.who].add(found.whom)
    reached = {name: _reached(name, uses) for name in uses}
    loops = {frozenset(other for other in reached[name] if name in reached[other]) for name in uses}
    return sorted(sorted(loop) for loop in loops if loop)


def _fault(found: Import) -> str:
    who, whom = _path(found.who), _path(found.whom)
    if not who:
        if whom[:1] in (["design"], ["errors"]) or not whom:
            return ""
        return "" if whom[0] == "verbs" and not found.now else "the face takes only design, and verbs when asked for"
    room = who[0]
    if room not in ROOMS:
        return f"{room!r} is no room of the house"
    if not whom:
        return "" if room in USERS else f"only {' and '.join(USERS)} use the face of the package"
    if whom[0] not in ROOMS:
        return f"{whom[0]!r} is no room of the house"
    if ROOMS.index(whom[0]) > ROOMS.index(room):
        return f"{room} stands before {whom[0]}"
    if whom[0] == "systems" and len(whom) > 1:
        return "a system is found by its name only"
    if room == "design":
        return _fault_in_design(who[1:], whom)
    return ""


def _fault_in_design(step: list[str], whom: list[str]) -> str:
    if whom[0] != "design":
        return "" if whom[0] == "errors" else "design imports nothing of the house but errors"
    if not step or step[0] not in STEPS or len(whom) < 2:  # what reads and writes designs stands after all of them
        return ""
    if whom[1] not in STEPS or STEPS.index(whom[1]) > STEPS.index(step[0]):
        return f"{step[0]} stands before {whom[1]}"
    return ""


def _path(module: str) -> list[str]:
    return module.split(".")[1:]


def _module(name: str, known: dict[str, Path]) -> str:
    while name not in known and "." in name:
        name = name.rpartition(".")[0]
    return name


def _nodes(node: ast.AST, now: bool) -> Iterator[tuple[ast.stmt | ast.Call, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom, ast.Call)):
            yield child, now
        later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        yield from _nodes(child, now and not later)


def _names(node: ast.stmt | ast.Call, who: str, package: bool) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            parts = who.split(".")
            base = parts[: len(parts) - level + package] if level else []
            return [".".join([*base, *([module] if module else []), alias.name]) for alias in names]
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
            called = ast.unparse(function).rpartition(".")[2]
            return [name.partition(":")[0]] if called in ("import_module", "__import__") else []
    return []


def _reached(start: str, uses: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    open_ = [start]
    while open_:
        for name in uses[open_.pop()] - found:
            found.add(name)
            open_.append(name)
    return found
