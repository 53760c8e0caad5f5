"""Lines of a design that is written as YAML or JSON."""

from __future__ import annotations

from collections.abc import Sequence

import yaml


def walk(source: str, steps: Sequence[str | int]) -> tuple[int, int]:
    """Give line and column, both from 1, of what lies behind the steps, or of the nearest part around it.

    >>> walk("data:\\n  split: {test: 7d}\\n", ["data", "split", "test"])
    (2, 11)
    """
    try:
        node = yaml.compose(source, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return 1, 1
    spot = (1, 1)
    for step in steps:
        if isinstance(node, yaml.MappingNode) and isinstance(step, str):
            pair = next(((key, value) for key, value in node.value if key.value == step), None)
            if pair is None:
                return spot
            spot, node = _of(pair[0]), pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            spot = _of(node)
        else:
            return spot
    return spot


def _of(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
