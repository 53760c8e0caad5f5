"""What is drawn at random: negatives of a request with weights that undo it, and what a log leaves out or repeats."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.examples import TRAIN, Examples, Requests
from bottega.data.keys import encode
from bottega.data.log import Log
from bottega.design.data import Downsample, Upsample
from bottega.design.examples import Sampled
from bottega.errors import DataError

_ROUNDS = 64  # of drawing again what was relevant; who still lacks some is drawn exactly, one by one
_MOST = 200_000_000  # rows
_STREAM = 1  # a stream of random numbers of its own: no other draw of the same seed is like it

Ints = NDArray[np.int64]


def sampled(requests: Requests, log: Log, candidate: str, spec: Sampled, seed: int) -> Examples:
    """Give each request its relevant candidates and negatives drawn from what the log knew at its time.

    The catalogue of a request holds the candidates that occur in the log before its time. In training, a request with
    p relevant candidates draws n = p × `negatives` times with replacement from the catalogue without them, alike or in
    proportion to the rows before; what is drawn twice stays once. A negative whose chance in one draw is q is there
    with probability π = 1 − (1 − q)ⁿ and weighs 1/π, so that the expected weighted sum of anything over the rows is
    its sum over the catalogue and the relevant. Where n reaches the catalogue's size all of it is taken, at weight 1.
    Validation and test are never sampled: they get the whole catalogue.

    It is wrong to read a ranking metric from sampled rows: ranks do not survive sampling.

    requests: from `requests`; log: of the positives; candidate: its column; seed: another one draws others. What is
    drawn for a time depends on what was known at that time, and on what is relevant, alone.
    Gives examples in the order of request and candidate. Raises `DataError` above 200 million rows.
    """
    item, items = encode(pa.concat_arrays([encode(log.column(candidate))[1], requests.positives_candidate]))
    item, size = item[len(item) - len(requests.positives_request) :], len(items)
    codes, _ = encode(log.column(candidate), items)
    same = (np.diff(requests.time) == 0) & (np.diff(requests.part) == 0)
    borders = np.r_[0, np.flatnonzero(~same) + 1, len(requests)]  # of the runs of requests of one part and time
    groups, taken, labels, weights, total = [], [], [], [], 0
    for begin, end in itertools.pairwise(borders.tolist()):
        at, training = int(requests.time[begin]), requests.part[begin] == TRAIN
        mass = np.bincount(codes[log.usable(at) & (codes >= 0)], minlength=size)
        goods = _Goods(np.flatnonzero(mass), mass if spec.by == "popularity" else (mass > 0).astype(np.int64))
        total += 0 if training else (end - begin) * len(goods.codes)
        if total > _MOST:
            raise DataError(
                "data.examples.candidates",
                f"validation and test against the whole catalogue make more than {_MOST:,} rows",
                "fewer requests, or a smaller catalogue",
                "candidates=bt.Retrieved()",
            )
        own = slice(*np.searchsorted(requests.positives_request, [begin, end]))
        relevant = np.sort((requests.positives_request[own] - begin).astype(np.int64) * size + item[own])
        if training:
            rng = np.random.default_rng([seed, at & (2**63 - 1)])
            pairs, weight = _drawn(rng, end - begin, goods, relevant, spec.negatives)
        else:
            pairs = _with(goods.all(np.arange(end - begin)), relevant)
            weight = np.ones(len(pairs), np.float32)
        label = np.zeros(len(pairs), np.float32)
        label[np.searchsorted(pairs, relevant)] = 1
        groups.append((pairs // size + begin).astype(np.int32))
        taken.append((pairs % size).astype(np.int32))
        labels.append(label)
        weights.append(weight)
    return Examples(
        requests,
        np.concatenate(groups),
        items.take(pa.array(np.concatenate(taken))),
        np.concatenate(labels),
        np.concatenate(weights),
    )


@dataclass(frozen=True)
class _Goods:
    """The catalogue at a time; a pair of request r and code c is the number r × size + c."""

    codes: Ints
    """(c,) ascending."""
    mass: Ints
    """(size,) how often each code is drawn, relative to the others; 0 outside the catalogue."""

    def all(self, requests: Ints) -> Ints:
        """Give the pairs of some requests (ascending) with the whole catalogue, ascending."""
        return (requests[:, None] * len(self.mass) + self.codes).ravel()


def _drawn(
    rng: np.random.Generator, requests: int, goods: _Goods, relevant: Ints, negatives: int
) -> tuple[Ints, NDArray[np.float32]]:
    """Give the relevant pairs and the drawn ones, ascending (m,), with their weights (m,)."""
    size = len(goods.mass)
    owner, code = relevant // size, relevant % size
    left = len(goods.codes) - np.bincount(owner[goods.mass[code] > 0], minlength=requests)  # (r,) that can be drawn
    rest = goods.mass.sum() - np.bincount(owner, goods.mass[code], minlength=requests)  # (r,) their mass
    wanted = np.bincount(owner, minlength=requests) * negatives
    whole = wanted >= left
    some = np.unique(_draw(rng, np.repeat(np.flatnonzero(~whole), wanted[~whole]), goods, relevant))
    pairs = _with(np.sort(np.concatenate([some, goods.all(np.flatnonzero(whole))])), relevant)
    chance = goods.mass[some % size] / rest[some // size]
    weight = np.ones(len(pairs), np.float32)
    weight[np.searchsorted(pairs, some)] = -1 / np.expm1(wanted[some // size] * np.log1p(-chance))
    return pairs, weight


def _draw(rng: np.random.Generator, who: Ints, goods: _Goods, relevant: Ints) -> Ints:
    """Draw one candidate for each entry of `who` from what is not relevant to it: pairs, in no order."""
    size, border = len(goods.mass), np.cumsum(goods.mass)
    found = [np.empty(0, np.int64)]
    for _ in range(_ROUNDS):
        if not len(who):
            break
        tried = who * size + np.searchsorted(border, rng.integers(0, border[-1], len(who)), side="right")
        bad = _inside(tried, relevant)
        found.append(tried[~bad])
        who = who[bad]
    for one in np.unique(who).tolist():  # what is relevant to it holds nearly all of the mass
        free = goods.all(np.array([one]))
        free = free[~_inside(free, relevant)]
        mass = goods.mass[free % size]
        found.append(rng.choice(free, np.count_nonzero(who == one), p=mass / mass.sum()))
    return np.concatenate(found)


def _with(pairs: Ints, relevant: Ints) -> Ints:
    new = relevant[~_inside(relevant, pairs)]
    return np.insert(pairs, np.searchsorted(pairs, new), new)


def _inside(pairs: Ints, known: Ints) -> NDArray[np.bool_]:
    """Mark the pairs (n,) that are among the known ones, which are ascending."""
    if not len(known):
        return np.zeros(len(pairs), np.bool_)
    same: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, pairs), len(known) - 1)] == pairs
    return same


def kept(spec: Downsample | Upsample | None) -> float:
    """Give w of p = q / (q + (1 − q)/w), the share of negatives to positives that sampling leaves; 1: no correction.

    >>> kept(Downsample(0.1)), kept(Upsample(4)), kept(Downsample(0.1, correct=False, weight=True))
    (0.1, 0.25, 1.0)
    """
    if isinstance(spec, Upsample):
        return 1 / spec.times
    return spec.keep_negatives if spec is not None and spec.correct else 1.0


def standing(label: NDArray[np.float32], spec: Downsample | Upsample | None, seed: int) -> NDArray[np.int32]:
    """Say how often each row stands among those that are learnt from (n,): 0 where it was drawn out, r where repeated.

    A row's draw depends on the seed and its place alone, not on which others are learnt from.

    label: (n,) what is learnt; NaN is neither positive nor negative and stands once.
    """
    times = np.ones(len(label), np.int32)
    if isinstance(spec, Downsample):
        drawn = np.random.default_rng([seed, _STREAM]).random(len(label)) < spec.keep_negatives
        times[(label <= 0) & ~drawn] = 0
    elif spec is not None:
        times[label > 0] = spec.times
    return times


def sampling_weight(label: NDArray[np.float32], spec: Downsample | Upsample | None) -> NDArray[np.float32]:
    """Give what each row that stays counts for (n,): 1/share for negatives that weights undo, else 1."""
    share = spec.keep_negatives if isinstance(spec, Downsample) and spec.weight else 1.0
    return np.where(label <= 0, 1 / share, 1).astype(np.float32)
