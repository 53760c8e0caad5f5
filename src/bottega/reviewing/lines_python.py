"""Lines of a design that is written in Python, read from its syntax: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from bottega.design.part import Part

Step = str | int
Names = dict[str, ast.expr]


def find_design(tree: ast.Module) -> ast.expr | None:
    """Give the expression that is called `design` in the end; nothing where there is none."""
    return _names(tree).get("design")


def follow(tree: ast.Module, node: ast.expr, steps: Sequence[Step]) -> tuple[int, int]:
    """Give line and column, both from 1, of what lies behind the steps, or of the nearest part around it.

    >>> tree = ast.parse("SPLIT = bt.RandomSplit()\\ndesign = bt.Design(\\n  'a', data=bt.Data(split=SPLIT))")
    >>> follow(tree, find_design(tree), ["data", "split"])
    (3, 21)
    """
    names, spot = _names(tree), _of(node)
    for step in steps:
        found = _into(node, step, names)
        if found is None:
            return _of(_made(node, names)) if isinstance(node, ast.Name) else spot
        node, where = found
        spot = _of(where)
    return spot


def _names(tree: ast.Module) -> Names:
    """Give what each name at the level of the file is in the end; what is added to it later is not followed."""
    found: Names = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = statement.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            found[statement.target.id] = statement.value
    return found


def _of(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1


def _into(node: ast.expr, step: Step, names: Names) -> tuple[ast.expr, ast.AST] | None:
    """Go one step into an expression; gives what is there, and the node whose line a person looks for."""
    node = _made(node, names)
    if isinstance(step, int):
        items, whole = _items(node, names)
        if step < len(items):
            return items[step], items[step]
        return (node, node) if not whole and items else None
    if isinstance(node, ast.Call):
        return _argument(node, step, names)
    if isinstance(node, ast.Dict):
        return _entry(node, step, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _into(node.right, step, names) or _into(node.left, step, names)
    return None


def _made(node: ast.expr, names: Names) -> ast.expr:
    """Follow a name to what it was made of, as often as need be."""
    for _ in range(len(names) + 1):
        if not isinstance(node, ast.Name) or node.id not in names:
            break
        node = names[node.id]
    return node


def _argument(call: ast.Call, field: str, names: Names) -> tuple[ast.expr, ast.AST] | None:
    for keyword in reversed(call.keywords):
        if keyword.arg == field:
            return keyword.value, keyword
        if keyword.arg is None and (found := _into(keyword.value, field, names)) is not None:
            return found
    called = ast.unparse(call.func).rpartition(".")[2]
    if called in ("replace", "changed") and call.args:  # msgspec.structs.replace(design, data=…)
        return _into(call.args[0], field, names)
    part = part_named(called)
    fields = part.__struct_fields__ if part is not None else ()
    if field in fields and fields.index(field) < len(call.args):
        value = call.args[fields.index(field)]
        return None if isinstance(value, ast.Starred) else (value, value)
    return None


def _entry(node: ast.Dict, key: str, names: Names) -> tuple[ast.expr, ast.AST] | None:
    for name, value in reversed(list(zip(node.keys, node.values, strict=True))):
        if name is None and (found := _into(value, key, names)) is not None:
            return found
        if isinstance(name, ast.Constant) and name.value == key:
            return value, name
    return None


def _items(node: ast.expr, names: Names) -> tuple[list[ast.expr], bool]:
    """Give the items of a list, and whether they are all; what is computed ends the list that is known."""
    node = _made(node, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, whole = _items(node.left, names)
        right, rest = _items(node.right, names) if whole else ([], False)
        return [*left, *right], whole and rest
    if not isinstance(node, (ast.List, ast.Tuple)):
        return [], False
    found: list[ast.expr] = []
    for item in node.elts:
        if not isinstance(item, ast.Starred):
            found.append(item)
            continue
        inner, whole = _items(item.value, names)
        found += inner
        if not whole:
            return [*found, *[item.value] * 1000], True  # as many as may be computed: all stand on its line
    return found, True


def part_named(name: str) -> type[Part] | None:
    """Give the kind of part of this name, whose fields stand in the order of its arguments."""
    todo: list[type[Part]] = [Part]
    while todo:
        part = todo.pop()
        if part.__name__ == name:
            return part
        todo += part.__subclasses__()
    return None
