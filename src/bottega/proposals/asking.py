"""What a design for rows with labels asks: what is judged, who asks, and what a request has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bottega.data.keys import combined
from bottega.errors import DataError
from bottega.proposals.proposal import Seen

MOST = 40  # columns of the request: of a table of a thousand those that tell most alone, then the first
_SEVERAL, _FEW_LOST = 1.5, 0.01  # rows of a request in the mean, and the share that is lost, up to which it is a list


@dataclass(frozen=True)
class Asked:
    """Names are theirs. candidate: what is judged. request: its columns; the first names who asks, and is read as an
    id. each: rows of a request in the mean."""

    seen: Seen
    candidate: str
    request: Sequence[str]
    each: float

    @property
    def judged(self) -> str:
        """Our name of what a question is about: who asks, where what is judged is but the row."""
        person, ours = self.seen.roles.person, self.seen.ours
        return ours[person] if person is not None and self.candidate == self.seen.row else ours[self.candidate]

    @property
    def named(self) -> bool:
        """Whether somebody is named who asks."""
        return self.request[0] == self.seen.roles.person

    @property
    def rated(self) -> str:
        """By which column the simplest model rates: the candidate, where it comes again, else the category that tells
        most."""
        seen = self.seen
        if not seen.names_once(self.candidate):
            return self.candidate
        person = seen.roles.person
        fit = [
            each for each in self.request
            if seen.columns[each].is_category and seen.columns[each].distinct <= seen.rows / 20
            and (seen.log is not None or each != person)
        ]  # fmt: skip
        return max(fit, key=lambda each: seen.tells.get(each, 0.5), default=person or self.candidate)

    def about(self) -> str:
        """Say what a reader should know of the request."""
        seen, ours, roles = self.seen, self.seen.ours, self.seen.roles
        said, first = list[str](), self.request[0]
        if roles.turn is not None:
            said.append(f"{roles.turn} counts the rows of each {roles.person}: they belong together.")
        if not self.named and first != seen.row and not seen.columns[first].is_category:
            said.append(f"Nobody is named who asks: {ours[first]}, which tells least, is its id, and no feature.")
        if seen.row is not None:
            named = "what is judged" if self.candidate == seen.row else "who asks" if first == seen.row else ""
            again = f"One {ours[self.candidate]} comes again in equal rows, which are requests of their own"
            said.append(f"{f'Nothing in the table names {named}' if named else again}: {seen.row} is the row's number.")
        later = seen.later[0]
        if later is not None:
            said.append(f"Asked at {roles.time}: leave out what is known by {later} alone, or name that as --time.")
        return " ".join(said)


def asked_of(seen: Seen, context: Sequence[str]) -> Asked:
    """Choose what is judged, and what a request has.

    Judged is an item; else the row, by its id; else, in a log that names nobody, what comes again most; else the row by
    its number. Where one comes again in equal requests, what names the row is in the request too.
    """
    roles, known = seen.roles, list(context)
    names = [each for each in known if seen.columns[each].is_category]
    most = sorted(names, key=lambda each: -seen.columns[each].distinct)
    again = next(iter(most), None) if roles.time is not None and roles.person is None else None
    candidate = roles.item or roles.event_id or again
    if candidate is None:
        seen = seen.numbered()
        candidate = str(seen.row)
    rest = [each for each in known if each != candidate][:MOST]
    first = next((each for each in (roles.person, *names, roles.event_id) if each not in (None, candidate)), None)
    if first is None and seen.row is None and rest:
        seen = seen.numbered()
        first = str(seen.row)
    first = first or min(reversed(rest), key=lambda each: seen.tells.get(each, 0.5), default=None)
    told = any(each != first or seen.columns[each].is_category for each in rest) or not seen.names_once(candidate)
    if first is None or not told:
        found = f"too little beside {roles.label!r} and what names a row: {', '.join(known) or 'nothing'}"
        raise DataError(seen.name, found, "what is known before: a word or an id that comes again, or two numbers", "")
    request = [first, *(each for each in rest if each != first)]
    keys = _requests(seen, request)
    each = len(keys) / len(np.unique(keys))
    lost = _repeated(seen, keys, candidate)
    if lost > (0 if each < _SEVERAL else _FEW_LOST):
        if roles.event_id is None and seen.row is None:
            seen = seen.numbered()
        request, each = [*request, roles.event_id or str(seen.row)], 1.0
    return Asked(seen, candidate, request, each if roles.time is not None else 1.0)


def _requests(seen: Seen, request: Sequence[str]) -> NDArray[np.int64]:
    """Number each row's request: rows with the same columns, at the same time, are one."""
    columns = [seen.columns[each] for each in (*request, *filter(None, [seen.roles.time]))]
    return combined((one.codes.astype(np.int32) + 1, one.distinct + 2) for one in columns)


def _repeated(seen: Seen, requests: NDArray[np.int64], candidate: str) -> float:
    """Give the share of the rows whose candidate came before in their request: a run leaves them out."""
    codes, number = np.unique(requests, return_inverse=True)[1].astype(np.int64), seen.columns[candidate].codes
    pairs = codes * (seen.columns[candidate].distinct + 1) + number + 1
    return 1 - len(np.unique(pairs)) / len(pairs)
