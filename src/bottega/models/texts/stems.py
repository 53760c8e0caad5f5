"""Words of a text as a search knows them: without stop words and endings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from bottega.errors import DesignError, nearest
from bottega.models.words import words


def words_of(given: Sequence[str], language: str | None) -> list[list[str]]:
    """Part texts into words without case, and with a language without its stop words and endings.

    language: as Snowball names it, `english`; nothing: words as they are. Stop words are left out where the library
    bm25s has a list of them. Raises `DesignError` for an unknown language.

    >>> words_of(["The cats were running!"], "english"), words_of(["The cats"], None)
    ([['cat', 'were', 'run']], [['the', 'cats']])
    """
    import Stemmer

    if language is None:
        return [words(text) for text in given]
    if language not in Stemmer.algorithms():
        known = sorted(Stemmer.algorithms())
        raise DesignError("models: language", repr(language), f"one of {', '.join(known)}", nearest(language, known))
    stem, stop = Stemmer.Stemmer(language).stemWords, _stop_words(language)
    return [stem([word for word in words(text) if word not in stop]) for text in given]


@cache
def _stop_words(language: str) -> frozenset[str]:
    from bm25s import stopwords

    name = "EN" if language in ("english", "porter") else language.upper()
    return frozenset(word for stop in getattr(stopwords, f"STOPWORDS_{name}", ()) for word in words(stop))
