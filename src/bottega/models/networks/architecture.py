"""Architecture: the one place that knows which of the networks a setting asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bottega.design.scorers import DCN, DLRM, DeepFM, MultiTask
from bottega.models.networks import dcn, deepfm, dlrm, multi_task
from bottega.models.networks.fields import Fields
from bottega.models.networks.operations import Block, Operations, Shape

Setting = DCN | DeepFM | DLRM | MultiTask


@dataclass(frozen=True)
class Architecture:
    """A network by its setting and the number of its fields: its weights' shapes, and its log-odds from them.

    setting: of the design. fields: categories. numbers: numbers and indicators.

    >>> network = Architecture(DLRM(embedding_size=4, layers=[8], bottom=[]), fields=2, numbers=1)
    >>> network.width, network.inputs, network.shapes["top.0.weight"]
    (4, 9, (8, 7))
    """

    setting: Setting
    fields: int
    numbers: int

    @classmethod
    def of(cls, setting: Setting, fields: Fields) -> Architecture:
        """The network over these fields."""
        return cls(setting, len(fields.offset) - 1, fields.number_count)

    @property
    def width(self) -> int:
        """Columns of the table of vectors."""
        return self.setting.embedding_size + isinstance(self.setting, DeepFM)

    @property
    def inputs(self) -> int:
        """Columns that the dense part reads."""
        return self.fields * self.width + self.numbers

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each weight of the dense part, by name, in a fixed order."""
        return _file(self.setting).shapes(self.setting, self.fields, self.numbers)  # type: ignore[no-any-return]

    @property
    def tasks(self) -> tuple[int, ...]:
        """The shape of a row's log-odds: (t,) of a network that learns several labels, () of the others."""
        return (len(self.setting.objectives),) if isinstance(self.setting, MultiTask) else ()

    @property
    def outs(self) -> list[str]:
        """The layers whose results are the log-odds."""
        return multi_task.outs(self.setting) if isinstance(self.setting, MultiTask) else ["out"]

    @property
    def hidden(self) -> dict[str, int]:
        """The hidden layers, in their order: the name and width of each; a number ends the name of these alone."""
        biases = {name.removesuffix(".bias"): shape for name, shape in self.shapes.items() if name.endswith(".bias")}
        return {name: shape[0] for name, shape in biases.items() if name.rpartition(".")[2].isdigit()}

    def logits(self, do: Operations, x: Block) -> Block:
        """The log-odds of each row, (n, 1) or (n, tasks). x: (n, inputs)."""
        made: Callable[..., Block] = _file(self.setting).logits
        return made(self.setting, self.fields, self.numbers, do, x)


def _file(setting: Setting) -> Any:
    match setting:
        case DCN():
            return dcn
        case DeepFM():
            return deepfm
        case DLRM():
            return dlrm
        case MultiTask():
            return multi_task
