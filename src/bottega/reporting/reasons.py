"""What answers lacked, in sentences: the service counts reasons with each number in them written as n."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bottega.errors import several

_SAID = (
    (r"k: n of n found", r"too few were found"),
    (r"k: n of n, the most that is shown", r"more was asked for than is ever shown"),
    (r"(.+): left out, not there after n[n.]* ms", r"\1 was not there in time"),
    (r"(.+): left out, n earlier requests still wait for it", r"\1 was not asked, since earlier requests wait for it"),
    (r"(.+): left out, (.+) took n[n.]* of n[n.]* ms", r"\1 was left out, \2 took too long"),
    (r"(.+): left out, it failed: (.+)", r"\1 failed with \2"),
    (r"candidates: n (.+)", r"candidates were \1"),
    (r"auction: n of n slots sold", r"slots stayed unsold"),
    (r"auction: n of n (.+)", r"ads were \1"),
    (r"(quota .+): n of at least n in the first n", r"\1 found too few"),
    (r"(quota .+): n of at most n in the first n", r"\1 found too many"),
    (r"(quota .+): n of (.+), at most n, in the first n", r"\1 found too many of \2"),
)


def reason(name: str) -> str:
    """Say what an answer lacked, without the numbers that differ from answer to answer.

    >>> reason("k: n of n found"), reason("BM25: left out, not there after n ms"), reason("customer: missing")
    ('too few were found', 'BM25 was not there in time', 'customer: missing')
    """
    for form, said in _SAID:
        if found := re.fullmatch(form, name):
            return found.expand(said)
    return name


def reasons(named: Mapping[str, int]) -> str:
    """Say what answers lacked, and how many did, the most frequent first.

    >>> reasons({"customer: missing": 1, "k: n of n found": 1200})
    'too few were found in 1,200 answers; customer: missing in 1 answer'
    """
    ordered = sorted(named.items(), key=lambda item: -item[1])
    return "; ".join(f"{reason(name)} in {several(number, 'answer')}" for name, number in ordered)


def empty(named: Mapping[str, int]) -> str:
    """Say which columns were empty in requests, and in how many, the most frequent first.

    >>> empty({"age": 1, "insurer": 620})
    'insurer in 620 requests; age in 1 request'
    """
    ordered = sorted(named.items(), key=lambda item: -item[1])
    return "; ".join(f"{name} in {several(number, 'request')}" for name, number in ordered)
