"""Interactions: who took what, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.data.keys import encode
from bottega.errors import DataError, nearest
from bottega.models.vocabulary import Codes, Texts
from bottega.models.vocabulary import texts as as_texts

if TYPE_CHECKING:
    import scipy.sparse as sp

Times = npt.NDArray[np.int64]
NEVER = int(np.iinfo(np.int64).max)
"""In place of a time, what never is."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """A log of events, each a person, an item and a time; equal rows count as often as they stand there.

    The vocabularies hold who and what stands in these rows and nothing else, so that a log cut at a time knows nothing
    of later people and items.

    people: sorted distinct ids. items: the same. person, item: (n,) codes into them. time: (n,) microseconds, UTC.
    texts: by name, a text for each row (n,), such as the item's description at that time. catalogue: by name, a text
    for each item (items,), where there is a table of them; then items may stand here that nobody took. who: the column
    of a request that names people.

    >>> log = Interactions.of(["ann", "bob", "ann"], ["tea", "tea", "cup"], [10, 20, 30])
    >>> log.items.to_pylist(), log.item.tolist()
    (['cup', 'tea'], [1, 1, 0])
    >>> log.before(30).items.to_pylist()
    ['tea']
    """

    people: pa.StringArray
    items: pa.StringArray
    person: Codes
    item: Codes
    time: Times
    texts: Mapping[str, pa.DictionaryArray] = field(default_factory=dict)
    catalogue: Mapping[str, pa.StringArray] = field(default_factory=dict)
    known: Times | None = None
    """(items,) from when each item stands in the catalogue, microseconds, UTC; the largest number where it does not."""
    who: str = ""

    @classmethod
    def of(
        cls,
        person_ids: Texts,
        item_ids: Texts,
        time: npt.ArrayLike,
        texts: Mapping[str, Texts | pa.DictionaryArray] | None = None,
    ) -> Interactions:
        """Make them from columns; rows without a person or an item are left out.

        person_ids, item_ids: (n,) texts. time: (n,) whole microseconds since 1970, UTC. texts: further columns (n,) by
        name, null where there is none. Raises `DataError` where the lengths disagree or the times are no integers.
        """
        times = np.asarray(time)
        if times.size and times.dtype.kind not in "iu":
            raise DataError(
                "time",
                f"values of type {times.dtype}",
                "int64 microseconds since 1970, UTC",
                "convert the times first: column.cast('timestamp[us]').cast('int64')",
            )
        beside = texts or {}
        _one_length(beside, people=len(person_ids), items=len(item_ids), times=times.size)
        person, people = encode(as_texts(person_ids))
        item, items = encode(as_texts(item_ids))
        words = {name: as_texts(column).dictionary_encode() for name, column in beside.items()}
        log = cls(people, items, person, item, times.astype(np.int64).reshape(-1), words)
        whole = (person >= 0) & (item >= 0)
        return log if whole.all() else log._where(whole)

    def with_catalogue(
        self, items: Texts, columns: Mapping[str, Texts], known: npt.ArrayLike | None = None
    ) -> Interactions:
        """Add all items that could be taken, also those that nobody took.

        items: (m,) ids; of equal ones the last counts, one without an id is left out. columns: by name, their texts
        (m,). known: (m,) from when each is there, microseconds; nothing: always. Raises `DataError` where the lengths
        disagree.

        >>> log = Interactions.of(["ann"], ["tea"], [10]).with_catalogue(["cup", "tea"], {"name": ["Cup", "Tea"]})
        >>> log.items.to_pylist(), log.item.tolist(), log.newest("name").to_pylist()
        (['cup', 'tea'], [1], ['Cup', 'Tea'])
        """
        ids = as_texts(items)
        since = np.zeros(len(ids), np.int64) if known is None else np.asarray(known, np.int64)
        _one_length(columns, items=len(ids), times=since.size)
        codes, every = encode(pa.concat_arrays([self.items, ids]))
        listed = codes[len(self.items) :]
        there = np.flatnonzero(listed >= 0)
        row = np.full(len(every), -1, np.int64)
        row[listed[there]] = there  # the last one stays
        begin = np.full(len(every), NEVER)
        np.minimum.at(begin, listed[there], since[there])
        place = pa.array(row, mask=row < 0)
        return replace(
            self,
            items=every,
            item=codes[: len(self.items)][self.item],
            catalogue={name: as_texts(column).take(place) for name, column in columns.items()},
            known=begin,
        )

    def asked_by(self, column: str) -> Interactions:
        """Say which column of a request names people."""
        return replace(self, who=column)

    def __len__(self) -> int:
        return len(self.time)

    def before(self, at: int) -> Interactions:
        """The rows with time < at, with vocabularies of their own; the order of the rows stays.

        Of a catalogue those items stay that stood in it by then.
        """
        return self._where(self.time < at, at)

    def matrix(
        self, weights: Literal["binary", "counts", "decayed"] = "binary", *, at: int = 0, half_life: int = 0
    ) -> sp.csr_matrix:
        """Who took what as a sparse matrix, (people, items) float64, items ascending in each row.

        weights: `binary` gives 1 to each pair; `counts` the number of its rows; `decayed` the sum over its rows of
        2^(−(at − time) / half_life). at, half_life: microseconds, for `decayed`; a larger half-life remembers longer.
        """
        import scipy.sparse as sp

        values = np.ones(len(self))
        if weights == "decayed":
            values = np.exp2((self.time - at) / half_life)
        matrix = sp.csr_matrix((values, (self.person, self.item)), shape=(len(self.people), len(self.items)))
        matrix.sum_duplicates()
        if weights == "binary":
            matrix.data[:] = 1.0
        return matrix

    def people_by_item(self, since: int | None = None) -> npt.NDArray[np.int64]:
        """How many different people took each item, (items,), from a time on; nothing: ever.

        >>> Interactions.of(["ann", "ann", "bob"], ["tea", "tea", "tea"], [1, 2, 3]).people_by_item()
        array([2])
        """
        recent = slice(None) if since is None else self.time >= since
        pairs = np.unique(self.person[recent].astype(np.int64) * len(self.items) + self.item[recent])
        return np.bincount(pairs % max(1, len(self.items)), minlength=len(self.items))

    def newest(self, name: str) -> pa.StringArray:
        """The newest text of each item, (items,), null where no row has one; of one time, that of the later row.

        The catalogue's text counts where it has such a column.

        name: of a column of texts. Raises `DataError` where there is none.

        >>> log = Interactions.of(["ann", "bob"], ["tea", "tea"], [5, 9], {"label": ["Tea", "Tea, green"]})
        >>> log.newest("label").to_pylist()
        ['Tea, green']
        """
        if name in self.catalogue:
            return self.catalogue[name]
        if name not in self.texts:
            known = [*self.catalogue, *self.texts]
            raise DataError(
                "interactions.texts",
                f"no column {name!r}",
                f"one of {known}" if known else "a text for each row",
                nearest(name, known) or f"Interactions.of(…, texts={{{name!r}: column}})",
            )
        column = self.texts[name]
        order = np.argsort(self.time, kind="stable")
        order = order[np.asarray(column.is_valid())[order]]
        place = np.full(len(self.items), -1, dtype=np.int64)
        place[self.item[order]] = order  # the last one stays
        return column.take(pa.array(place, mask=place < 0)).cast(pa.string())

    def _where(self, keep: npt.NDArray[np.bool_], at: int | None = None) -> Interactions:
        """The rows of a mask (n,), and the items of the catalogue that stood in it before a moment; nothing: all."""
        listed = np.zeros(len(self.items), np.bool_)
        if self.known is not None:
            listed = self.known < (np.iinfo(np.int64).max if at is None else max(at, 1))
        person, people = _kept(self.person[keep], np.zeros(len(self.people), np.bool_))
        item, items = _kept(self.item[keep], listed)
        mask, stay = pa.array(keep), pa.array(items)
        return Interactions(
            self.people.take(pa.array(people)),
            self.items.take(stay),
            person,
            item,
            self.time[keep],
            {name: column.filter(mask) for name, column in self.texts.items()},
            {name: column.take(stay) for name, column in self.catalogue.items()},
            None if self.known is None else self.known[items],
            self.who,
        )


def _one_length(beside: Mapping[str, Sized], **lengths: int) -> None:
    every = [*lengths.items(), *((name, len(column)) for name, column in beside.items())]
    if len({length for _, length in every}) > 1:
        raise DataError(
            "interactions",
            ", ".join(f"{length} {name}" for name, length in every),
            "columns of one length",
            "pass columns of one table",
        )


def _kept(codes: Codes, listed: npt.NDArray[np.bool_]) -> tuple[Codes, npt.NDArray[np.int64]]:
    """Number codes (n,) anew among those that are used or listed; gives them, and the old places of the new ones."""
    used = listed.copy()
    used[codes] = True
    place = np.cumsum(used, dtype=np.int32) - np.int32(1)
    return place[codes], np.flatnonzero(used)
