"""Learning: passes over labelled pictures in PyTorch, until pictures of one label lie together."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bottega.design.encoders import ImageEncoder
from bottega.models.images.altering import altered
from bottega.models.images.decoding import Pictures
from bottega.models.images.network import Network
from bottega.models.images.torch_steps import SMALL, TorchSteps
from bottega.models.networks.needed import needed
from bottega.models.networks.place import Place

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float32]
FEWEST_STEPS = 32  # of a pass: a batch is made smaller where the pictures would give fewer
_NORMAL = 16  # fewest pictures by which a layer is normalised, where there are as many
_RISE = 0.15  # share of all steps in which the learning rate rises
_FOLLOWS = 0.1  # how far the kept mean and variance move to those of a batch
_MOMENTUM = 0.9


class Learner:
    """Learns pass by pass; the same pictures, setting, seed and place give the same weights.

    Each label has a vector of its own (a proxy), and a picture's loss is `−log softmax(scale · (⟨v, proxies⟩ − margin
    at its own label))`, all vectors of length 1. A batch is learnt in parts, side by side; each part normalises by its
    own pictures.

    pictures: (n, height, width, channels). label: (n,) codes from 0 up. middle, spread: (channels,) of the pixels.

    Source: A. Zhai and H.-Y. Wu, Classification is a Strong Baseline for Deep Metric Learning, BMVC 2019; H. Wang et
    al., CosFace, CVPR 2018.
    """

    def __init__(
        self,
        setting: ImageEncoder,
        network: Network,
        pictures: Pictures,
        label: npt.NDArray[np.int64],
        middle: Array,
        spread: Array,
    ) -> None:
        import torch

        self.setting, self.network, self._pictures = setting, network, pictures
        steps = max(-(-len(label) // setting.batch), min(FEWEST_STEPS, len(label) // _NORMAL), 1)
        self.batch = -(-len(label) // steps)
        self.place = Place.of(network.products * self.batch)
        parts = max(1, min(self.place.threads, self.batch // _NORMAL))
        self._part, self._steps_a_pass, self._steps = -(-self.batch // parts), steps, 0
        self._device = torch.device(self.place.device)
        self._label = torch.from_numpy(label).to(self._device)
        shape = (1, len(middle), 1, 1)
        self._middle, self._spread = (
            torch.from_numpy(values).to(self._device).view(shape) for values in (middle, spread)
        )
        self._weights = self._first(int(label.max()) + 1)
        self._kept = {
            name.removesuffix(".weight"): torch.stack([torch.zeros(size[0]), torch.ones(size[0])]).to(self._device)
            for name, size in network.shapes.items()
        }
        matrices = [self._weights[name] for name in network.shapes]
        others = [values for name, values in self._weights.items() if name not in network.shapes]
        groups = [{"params": matrices, "weight_decay": setting.reg}, {"params": others, "weight_decay": 0.0}]
        self._descent = torch.optim.SGD(groups, setting.learning_rate, _MOMENTUM, nesterov=True)
        self.passes, self.seconds = 0, 0.0

    def learn(self) -> float:
        """Pass once over the pictures in a new order, and give the mean loss while it learnt."""
        began = time.perf_counter()
        rng = np.random.default_rng([self.setting.seed, self.passes])
        order = rng.permutation(len(self._pictures))
        order = np.concatenate([order, order[: self.batch * self._steps_a_pass - len(order)]])
        losses = []
        with ThreadPoolExecutor(self.place.threads) as pool:
            for rows in np.split(order, self._steps_a_pass):
                parts = [rows[low : low + self._part] for low in range(0, len(rows), self._part)]
                losses.append(self._step(parts, rng.integers(2**32, size=len(parts)), pool))
        self.passes += 1
        self.seconds += time.perf_counter() - began
        return float(np.mean(losses))

    def weights(self) -> dict[str, Array]:
        """What it has learnt so far, as it is served: normalisation folded into weights and biases."""
        found: dict[str, Array] = {}
        for name, (mean, variance) in self._kept.items():
            weight, scale, shift = (self._weights[f"{name}.{kind}"].detach() for kind in ("weight", "scale", "shift"))
            factor = scale / (variance + SMALL).sqrt()
            folded = weight * factor.view(-1, *[1] * (weight.ndim - 1))
            found[f"{name}.weight"] = folded.contiguous().cpu().numpy()
            found[f"{name}.bias"] = (shift - mean * factor).cpu().numpy()
        return found

    def _first(self, labels: int) -> dict[str, Tensor]:
        """The weights before any learning. labels: how many."""
        import torch

        rng = np.random.default_rng(self.setting.seed)
        found: dict[str, Any] = {}
        for name, shape in self.network.shapes.items():
            found[name] = rng.standard_normal(shape, dtype=np.float32) * math.sqrt(2 / math.prod(shape[1:]))
            own = name.removesuffix(".weight")
            found[f"{own}.scale"], found[f"{own}.shift"] = np.ones(shape[0]), np.zeros(shape[0])
        found["proxies"] = rng.standard_normal((labels, self.network.out))
        return {
            name: torch.tensor(values, dtype=torch.float32, device=self._device, requires_grad=True)
            for name, values in found.items()
        }

    def _step(
        self, parts: list[npt.NDArray[np.int64]], seeds: npt.NDArray[np.int64], pool: ThreadPoolExecutor
    ) -> float:
        """Learn from these rows, in parts side by side, and give their mean loss."""
        import torch

        rate = self.setting.learning_rate * self._rate((self._steps + 1) / (self._steps_a_pass * self.setting.epochs))
        for group in self._descent.param_groups:
            group["lr"] = rate
        found = list(pool.map(self._slopes, parts, seeds.tolist()))
        with torch.no_grad():
            for values, *slopes in zip(self._weights.values(), *(part[0] for part in found), strict=True):
                values.grad = torch.stack(slopes).sum(0)
            self._descent.step()
            for name, kept in self._kept.items():
                kept.lerp_(torch.stack([part[1][name] for part in found]).mean(0), _FOLLOWS)
        self._steps += 1
        return sum(part[2] for part in found)

    def _slopes(self, rows: npt.NDArray[np.int64], seed: int) -> tuple[tuple[Tensor, ...], dict[str, Tensor], float]:
        """The slopes of the batch's mean loss by the weights, what the layers met, and the rows' share of the loss."""
        import torch
        from torch.nn.functional import cross_entropy, normalize, one_hot

        pictures = altered(self._pictures[rows], self.setting.augment, np.random.default_rng(seed))
        x = torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2).float()  # already channels last in memory
        do = TorchSteps({name: values.detach().requires_grad_() for name, values in self._weights.items()})
        vectors = self.network.vectors(do, ((x - self._middle) / self._spread).to(self.place.kind))
        label, proxies = self._label[torch.from_numpy(rows).to(self._device)], normalize(do.weights["proxies"])
        near = vectors @ proxies.T - self.setting.margin * one_hot(label, len(proxies))
        loss = cross_entropy(near * self.setting.scale, label, reduction="sum") / self.batch
        return torch.autograd.grad(loss, tuple(do.weights.values())), do.met, loss.item()

    def _rate(self, done: float) -> float:
        """The learning rate's share at this share of all steps: a line up, half a cosine down."""
        return done / _RISE if done < _RISE else 0.5 * (1 + math.cos(math.pi * (done - _RISE) / (1 - _RISE)))


def learnt(
    setting: ImageEncoder,
    network: Network,
    pictures: Pictures,
    label: npt.NDArray[np.int64],
    middle: Array,
    spread: Array,
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Learn for all passes, and give the weights as they are served, and how it went."""
    needed("torch")
    learner = Learner(setting, network, pictures, label, middle, spread)
    with learner.place.taken():
        losses = [learner.learn() for _ in range(setting.epochs)]
    return learner.weights(), {
        "losses": losses,
        "pictures": len(pictures),
        "labels": int(label.max()) + 1,
        "batch": learner.batch,
        "device": learner.place.device,
        "precision": learner.place.precision,
        "threads": learner.place.threads,
        "pictures_per_s": len(losses) * len(pictures) / learner.seconds,
    }
