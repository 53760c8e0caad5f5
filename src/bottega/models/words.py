"""Words of a text in any language, and their weights in it: TF-IDF."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.models.vocabulary import Codes

_UNSPACED = ("CJK ", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")  # scripts without spaces


class _Letters(dict[int, str]):
    """What stands for each character: itself in a word, a space, or a word of its own in a script without spaces."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        if unicodedata.category(letter)[0] not in "LMN":
            found = " "
        else:
            found = f" {letter} " if unicodedata.name(letter, "").startswith(_UNSPACED) else letter
        self[code] = found
        return found


_LETTERS = _Letters()


def words(text: str) -> list[str]:
    """Part a text into words: runs of letters, marks and digits, without case; each character in unspaced scripts.

    When it is wrong: it knows no grammar (cup and cups are two words), and one character of Chinese, Japanese or Thai
    says less than a word.

    >>> words("RED Cup, 3pcs"), words("Tasse à thé"), words("日本茶")
    (['red', 'cup', '3pcs'], ['tasse', 'à', 'thé'], ['日', '本', '茶'])
    """
    return unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS).split()


@dataclass(frozen=True, eq=False)
class WordWeights:
    """The weights of the words of each text, as a sparse matrix whose rows have length 1 (or 0, without a word).

    words: (w,) sorted. start: (texts + 1,) places; each row has one at least, of weight 0 where it has no word. word:
    (m,) codes. weight: (m,) from 0 up.
    """

    words: pa.StringArray
    start: npt.NDArray[np.int64]
    word: Codes
    weight: npt.NDArray[np.float32]


def tf_idf(texts: Iterable[str | None]) -> WordWeights:
    """Weigh the words of each text: (1 + ln count) (1 + ln((1 + texts) / (1 + texts with the word))), rows of length 1.

    texts: (n,), null is a text without words.

    >>> weights = tf_idf(["red cup", "blue cup", None])
    >>> print(weights.words.to_pylist(), weights.word, weights.weight.round(2))
    ['blue', 'cup', 'red'] [1 2 0 1 0] [0.61 0.8  0.8  0.61 0.  ]

    Source: G. Salton, C. Buckley, Term-weighting approaches in automatic text retrieval, 1988.
    """
    rows = [Counter(words(text or "")) for text in texts]
    vocabulary = sorted(set().union(*rows), key=str.encode)
    code = {name: place for place, name in enumerate(vocabulary)}
    count = np.zeros(len(vocabulary), dtype=np.int64)
    for row in rows:
        count[[code[name] for name in row]] += 1
    rarity = 1 + np.log((1 + len(rows)) / (1 + count))  # (w,)
    return WordWeights(pa.array(vocabulary, pa.string()), *_weigh(rows, code, rarity))


def tf_idf_of(known: WordWeights, texts: Iterable[str | None]) -> WordWeights:
    """Weigh further texts by the words that are known, each as rare as it is there; unknown words count nothing.

    >>> known = tf_idf(["red cup", "blue cup"])
    >>> print(tf_idf_of(known, ["cup of red tea"]).weight.round(2))
    [0.58 0.81]
    """
    code = {name: place for place, name in enumerate(known.words.to_pylist())}
    rows = [Counter(word for word in words(text or "") if word in code) for text in texts]
    count = np.bincount(known.word[known.weight > 0], minlength=len(code))
    rarity = 1 + np.log(len(known.start) / (1 + count))  # (w,)
    return WordWeights(known.words, *_weigh(rows, code, rarity))


def _weigh(
    rows: Sequence[Counter[str]], code: Mapping[str, int], rarity: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], Codes, npt.NDArray[np.float32]]:
    """The places, words and weights of rows of length 1. rarity: (w,) of each code."""
    start = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([max(1, len(row)) for row in rows], out=start[1:])
    word = np.zeros(start[-1], dtype=np.int32)
    weight = np.zeros(start[-1], dtype=np.float32)
    for low, row in zip(start.tolist(), rows, strict=False):
        if row:
            times_of = sorted((code[name], times) for name, times in row.items())
            here, times = np.array([place for place, _ in times_of], dtype=np.int32), np.array([n for _, n in times_of])
            found = (1 + np.log(times)) * rarity[here]
            word[low : low + len(row)], weight[low : low + len(row)] = here, found / np.sqrt((found**2).sum())
    return start, word, weight
