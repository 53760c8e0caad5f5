"""The counts behind target rates, as plain arrays that a service maps from files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bottega.design.features import TargetRate
from bottega.errors import DataError, ServeError
from bottega.features.frame import Frame, Values
from bottega.features.hashing import Hashes, hashes, paired
from bottega.features.target_rates import Keys, rate_keys, rate_names, rate_pairs, row_keys
from bottega.files import read_json, write_json

_SPACE = 1.5  # slots for each key: more is quicker and larger
_MOST = 2**31


class _Facts(msgspec.Struct, frozen=True):
    names: list[str]
    prior: float
    seen: int
    total: float
    room: int


class RateTable:
    """Rows and sum of labels of each value, and of each pair, as of one moment; read for a request in microseconds.

    One array holds the keys of all columns and pairs, sorted by their hashes of 64 bits: a hash says about where it
    lies, and the search goes on from there. Two of 10 million keys have one hash, and then one count, with a chance of
    3 in a million. A value that is not there has the rate that was mixed in: the overall one, of a pair its values'.

    >>> import pyarrow as pa
    >>> feature = TargetRate(["ad"], prior=1.0)
    >>> table = RateTable.build(feature, {"ad": hashes(["a", "a", "b"])}, np.array([1, 1, 0], np.float32))
    >>> ads = pa.array(["a", "z"]).dictionary_encode()
    >>> asked = Frame({}, np.zeros(1, np.int64), np.zeros(2, np.int32), {"ad": ads})
    >>> {name: column.round(3).tolist() for name, column in table.values(asked).row.items()}
    {'rate_ad': [0.889, 0.667], 'seen_ad': [2.0, 0.0]}
    """

    def __init__(self, feature: TargetRate, facts: _Facts, slots: Hashes, counts: NDArray[np.float64]) -> None:
        self.feature, self._facts, self._slots, self._counts = feature, facts, slots, counts
        self._names = rate_names(feature)
        columns = list(feature.columns)
        self._salts = hashes(rate_keys(feature))
        self._pairs = np.array(
            [[columns.index(name) for name in pair] for pair in rate_pairs(feature)], np.int64
        ).reshape(-1, 2)
        self._overall = facts.total / facts.seen if facts.seen else np.nan

    @classmethod
    def build(
        cls,
        feature: TargetRate,
        keys: Keys,
        label: NDArray[np.float32],
        rows: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Count rows and labels of each value and each pair.

        keys: column → (n,) hashes, as `target_rates.row_keys` gives them. label: (n,). rows: (n,) those that count:
        `usable_from(time, final) <= moment`, or what models learnt from; nothing: all.
        Errors: `DataError` above 2³¹ keys.
        """
        from bottega.features import kernels_hashing

        known = ~np.isnan(label)
        chosen = known if rows is None else rows & known
        labels = label[chosen].astype(np.float64)
        found, counts = [], []
        for salt, key in _salted(feature, keys):
            own = key[chosen]
            numbers, size = kernels_hashing.number(own)
            first = np.zeros(size, np.uint64)
            first[numbers] = own
            found.append(paired(np.full(size, salt), first))
            counts.append(np.column_stack([np.bincount(numbers, minlength=size), np.bincount(numbers, labels, size)]))
        every = np.maximum(np.concatenate(found), 1)  # 0 stands for an empty slot
        if len(every) > _MOST:
            raise DataError("features: TargetRate", f"{len(every):,} keys", f"at most {_MOST:,}", "fewer pairs")
        order = np.argsort(every)
        slots, both, room = _spread(every[order], np.concatenate(counts)[order])
        return cls(
            feature, _Facts(rate_keys(feature), feature.prior, len(labels), float(labels.sum()), room), slots, both
        )

    def __len__(self) -> int:
        """Give the number of keys."""
        return int(np.count_nonzero(self._slots))

    def values(self, frame: Frame) -> Values:
        """Give the columns of the feature for each row of a frame."""
        keys = row_keys(self.feature, frame)
        rates, seen = self.rates(np.column_stack([keys[name] for name in self.feature.columns]))
        columns = (column for place in range(len(self._salts)) for column in (rates[:, place], seen[:, place]))
        return Values({}, dict(zip(self._names, columns, strict=True)))

    def rates(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give rates and counts of the columns and pairs, (n, keys) each. keys: (n, columns) hashes of the values."""
        from bottega.features import kernels_rates

        rate, seen = np.empty((len(keys), len(self._salts))), np.empty((len(keys), len(self._salts)))
        room = np.uint64(self._facts.room)
        kernels_rates.look_up(
            self._slots,
            self._counts,
            room,
            keys,
            self._salts,
            self._pairs,
            self._facts.prior,
            self._overall,
            rate,
            seen,
        )
        return rate, seen

    def save(self, folder: Path) -> None:
        """Write `keys.npy`, `counts.npy` and `rates.json` into a folder that is there."""
        np.save(folder / "keys.npy", self._slots, allow_pickle=False)
        np.save(folder / "counts.npy", self._counts, allow_pickle=False)
        write_json(folder / "rates.json", msgspec.to_builtins(self._facts))

    @classmethod
    def load(cls, folder: Path, feature: TargetRate) -> Self:
        """Map what `save` wrote; files that are missing, damaged or of another feature are a `ServeError` by name."""
        try:
            facts = msgspec.convert(read_json(folder / "rates.json"), _Facts)
            slots, counts = (_mapped(folder / f"{name}.npy") for name in ("keys", "counts"))
            if facts.names != rate_keys(feature) or facts.prior != feature.prior:
                raise ValueError(f"rates of {', '.join(facts.names)} with the prior {facts.prior:g}")
            if slots.dtype != np.uint64 or counts.dtype != np.float64 or counts.shape != (len(slots), 2):
                raise ValueError(f"keys {slots.shape} and counts {counts.shape}")
            if not 0 < facts.room < len(slots) or slots[-1] != 0:
                raise ValueError(f"{facts.room} places for {len(slots)} keys")
        except (OSError, ValueError, EOFError) as error:
            raise ServeError(
                str(folder), f"no readable rates: {error}", "the files that the build wrote", "run the build again"
            ) from error
        return cls(feature, facts, slots, counts)


def _mapped(path: Path) -> NDArray[Any]:
    """Map an array that nobody writes to; it counts as writable, so that one compiled loop takes it and a fresh one."""
    mapped: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return mapped.view(np.ndarray)


def _salted(feature: TargetRate, keys: Keys) -> Iterable[tuple[np.uint64, Hashes]]:
    """Give for each column and pair the hash of its name, and its hashes (n,)."""
    salts = iter(hashes(rate_keys(feature)))
    for name in feature.columns:
        yield next(salts), keys[name]
    for left, right in rate_pairs(feature):
        yield next(salts), paired(keys[left], keys[right])


def _spread(keys: Hashes, counts: NDArray[Any]) -> tuple[Hashes, NDArray[np.float64], int]:
    """Lay sorted keys out, each at the place that its hash names or behind it, and an empty place last."""
    room = int(len(keys) * _SPACE) + 1
    wanted = ((keys >> np.uint64(32)) * np.uint64(room)) >> np.uint64(32)
    rank = np.arange(len(keys))
    place = rank + np.maximum.accumulate(wanted.astype(np.int64) - rank) if len(keys) else rank
    size = max(room, int(place.max(initial=0)) + 1) + 1
    slots, both = np.zeros(size, np.uint64), np.zeros((size, 2))
    slots[place], both[place] = keys, counts
    return slots, both, room
