"""Trainer: the passes over the examples, in PyTorch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bottega.models.networks.architecture import Architecture
from bottega.models.networks.fields import Fields
from bottega.models.networks.lesson import Lesson
from bottega.models.networks.normal import Normal, normal_shapes
from bottega.models.networks.operations import Shape
from bottega.models.networks.place import Place
from bottega.models.networks.torch_operations import TorchOperations
from bottega.models.networks.vectors import KEEP_FIRST, KEEP_SECOND, SMALL, DeviceVectors, HostVectors, Vectors
from bottega.models.networks.weights import Weights

if TYPE_CHECKING:
    from torch import Generator, Tensor

Array = npt.NDArray[np.float32]
FEWEST_STEPS = 32  # of a pass: a batch is made smaller where the rows would give fewer
_MASKED = 0.002  # share of the codes that are taken for unknown, besides the rare ones
_NORMAL = 16  # fewest rows by which a layer is normalised
_JUDGED = 8192  # rows scored at once


class Trainer:
    """Learns pass by pass; the same rows, setting, seed and place give the same weights.

    All dense weights are one vector, and Adam steps it as one; the vectors of the categories are stepped where the
    batch touched them. A code is taken for unknown with a chance of 0.2 % + 1 / (1 + its rows), so that the vector of
    unknown codes learns what new ones are like, and a vector is not learnt by heart from one row.

    passes, state: made before, and what `state` gave after them, to go on from there.
    """

    def __init__(
        self,
        architecture: Architecture,
        fields: Fields,
        weights: Weights,
        learn: Lesson,
        place: Place,
        passes: int = 0,
        state: Mapping[str, Array] | None = None,
    ) -> None:
        import torch

        setting, device = architecture.setting, torch.device(place.device)
        self.architecture, self.place = architecture, place
        self.passes, self.passes_here, self.seconds = passes, 0, 0.0
        most = max(min(FEWEST_STEPS, len(learn) // _NORMAL), 1)
        self.steps_a_pass = max(-(-len(learn) // setting.batch), most)
        self.batch = -(-len(learn) // self.steps_a_pass)
        self._part = -(-self.batch // place.threads)
        rate, steps = setting.learning_rate, passes * self.steps_a_pass
        hidden = architecture.hidden if self._part >= _NORMAL else {}
        self._shapes = architecture.shapes | normal_shapes(hidden)
        if state is None:
            state = _first_state(weights, self._shapes, sum(hidden.values()))
        made = state["table"].copy(), state["moments"].copy(), steps, rate, setting.reg
        self._vectors: Vectors = HostVectors(*made) if place.device == "cpu" else DeviceVectors(*made, device)
        self._normal = Normal(hidden, torch.tensor(state["kept"], device=device))
        self._flat = torch.tensor(state["flat"], device=device, requires_grad=True)
        self._adam = torch.optim.Adam([self._flat], rate, (KEEP_FIRST, KEEP_SECOND), SMALL, fused=True)
        self._adam.state[self._flat] = {
            "step": torch.tensor(float(steps), device=device),
            "exp_avg": torch.tensor(state["first"], device=device),
            "exp_avg_sq": torch.tensor(state["second"], device=device),
        }
        counts = np.bincount(learn.codes.ravel(), minlength=fields.rows).astype(np.float32)
        self._masked = torch.from_numpy(_MASKED + 1 / (1 + counts)).to(device)
        self._unknown = torch.from_numpy(fields.offset[:-1].astype(np.int32)).to(device)
        weight = learn.weight / np.float32(learn.weight.mean(dtype=np.float64))
        rows = learn.codes, learn.numbers, learn.label, weight
        self._rows = [torch.from_numpy(part).to(device) for part in rows]

    def begin_unchanged(self) -> None:
        """Begin where the weights are, which have learnt already: normalising changes none of their scores."""
        import torch

        if not self._normal.layers:
            return
        order = torch.linspace(0, len(self._rows[0]) - 1, min(len(self._rows[0]), _JUDGED)).long()
        with torch.no_grad():
            weights = self._dense(self._flat, torch.float32)
            do = TorchOperations({name: weights[name] for name in self.architecture.shapes})
            codes, numbers, *_ = (part[order] for part in self._rows)
            self.architecture.logits(do, self._vectors.read(codes, numbers))
            self._normal.begin_unchanged(weights, do.seen_together(self._normal.layers))

    def learn(self) -> float:
        """Pass once over the examples in a new order, and give the mean loss while it learnt."""
        import torch

        began, count = time.perf_counter(), len(self._rows[0])
        seed = self.architecture.setting.seed * 1_000_003 + self.passes
        torch.manual_seed(seed)
        order = torch.randperm(count)
        order = torch.cat([order, order[: self.batch * self.steps_a_pass - count]]).to(self._flat.device)
        chances = [
            torch.Generator().manual_seed(seed * 64 + part) if self.place.device == "cpu" else None
            for part in range(self.place.threads)
        ]
        loss = torch.zeros((), device=self._flat.device)
        with ThreadPoolExecutor(self.place.threads) as pool:
            for rows in torch.split(order, self.batch):
                loss += self._step(rows, chances, pool.map if self.place.threads > 1 else map)
        self.passes += 1
        self.passes_here += 1
        found = loss.item() / self.steps_a_pass
        self.seconds += time.perf_counter() - began
        return found

    def score(self, weights: Weights, rows: Lesson) -> Array:
        """The probability of each row by these weights, float32 in the shape of its labels, in full precision."""
        import torch

        device = self._flat.device
        do = TorchOperations({name: torch.tensor(values, device=device) for name, values in weights.dense.items()})
        table = torch.tensor(weights.embedding, device=device)

        def block(low: int) -> Tensor:
            part = rows[low : low + _JUDGED]
            codes, numbers = (torch.from_numpy(values).to(device) for values in (part.codes, part.numbers))
            inputs = torch.cat([table[codes].flatten(1), numbers], dim=1)
            logits: Tensor = self.architecture.logits(do, inputs)
            return logits.sigmoid().reshape(part.label.shape)

        with ThreadPoolExecutor(self.place.threads) as pool:
            found: Array = torch.cat(list(pool.map(block, range(0, len(rows), _JUDGED)))).cpu().numpy()
        return found

    def weights(self) -> Weights:
        """What it has learnt so far, copied, as it is served."""
        dense = self._normal.folded(self._dense(self._flat.detach(), self._flat.dtype))
        arrays = {name: dense[name].cpu().numpy().copy() for name in self.architecture.shapes}
        return Weights(self._vectors.arrays()[0].copy(), arrays)

    def state(self) -> dict[str, Array]:
        """All that is needed, beside the number of passes, to go on from here; not to be written into."""
        kept = self._adam.state[self._flat]
        parts = {"flat": self._flat.detach(), "first": kept["exp_avg"], "second": kept["exp_avg_sq"],
                 "kept": self._normal.kept}  # fmt: skip
        table, moments = self._vectors.arrays()
        return {name: part.cpu().numpy() for name, part in parts.items()} | {"table": table, "moments": moments}

    def _dense(self, flat: Tensor, kind: Any) -> dict[str, Tensor]:
        """The dense weights by name, as views of the one vector, of this type."""
        import torch

        parts = torch.split(flat.to(kind), [int(np.prod(shape)) for shape in self._shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def _step(self, rows: Tensor, chances: Sequence[Generator | None], each: Callable[..., Iterable[Any]]) -> Tensor:
        """Learn from these rows, in parts side by side, and give their mean loss. each: `map`, or that of a pool."""
        import torch

        codes, numbers, label, weight = (part[rows] for part in self._rows)
        masked = torch.rand(codes.shape, device=codes.device) < self._masked[codes]
        codes = torch.where(masked, self._unknown, codes)
        parts = (torch.split(part, self._part) for part in (codes, numbers, label, weight))
        found = list(each(self._slopes, *parts, chances))
        with torch.no_grad():
            self._flat.grad = torch.stack([part[0] for part in found]).sum(0)
            self._adam.step()
            self._vectors.step(codes, torch.cat([part[1] for part in found]))
            self._normal.follow([part[2] for part in found])
            return torch.stack([part[3] for part in found]).sum()

    def _slopes(
        self, codes: Tensor, numbers: Tensor, label: Tensor, weight: Tensor, chance: Generator | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The slopes of the batch's mean loss by the weights and by these rows' inputs, what the hidden layers met, and
        the rows' share of the loss."""
        import torch

        setting, kind = self.architecture.setting, self.place.kind
        leaf = self._flat.detach().requires_grad_()
        inputs = self._vectors.read(codes, numbers).to(kind).requires_grad_()
        do = TorchOperations(self._dense(leaf, kind), setting.dropout, chance)
        logits = self.architecture.logits(do, inputs).reshape(label.shape).float()
        loss = loss_of(logits, label, weight, setting.focal_gamma if setting.loss == "focal" else 0.0) / self.batch
        by_weights, by_inputs = torch.autograd.grad(loss, (leaf, inputs))
        return by_weights, by_inputs.float(), do.seen_together(self._normal.layers), loss.detach()


def _first_state(weights: Weights, shapes: Mapping[str, Shape], widths: int) -> dict[str, Array]:
    """The state before any learning."""
    dense = [weights.dense.get(name, np.full(shape, name.endswith(".scale"))) for name, shape in shapes.items()]
    flat = np.concatenate([part.ravel() for part in dense], dtype=np.float32)
    table = weights.embedding
    return {
        "flat": flat, "first": np.zeros_like(flat), "second": np.zeros_like(flat),
        "kept": np.stack([np.zeros(widths, np.float32), np.ones(widths, np.float32)]),
        "table": table, "moments": np.zeros((len(table), 2 * table.shape[1]), np.float32),
    }  # fmt: skip


def loss_of(logits: Tensor, label: Tensor, weight: Tensor, gamma: float) -> Tensor:
    """The sum of weight · (1 − p)^γ · −log p, p being the probability of each label's own class; γ = 0: log loss."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    each = binary_cross_entropy_with_logits(logits, label, reduction="none")
    if gamma:
        each = each * (1 - (-each).exp()).clamp_min(1e-7) ** gamma  # e^−loss is p; at p = 1 a power has no slope
    return (each * weight).sum()
