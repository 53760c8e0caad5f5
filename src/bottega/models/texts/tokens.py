"""Texts parted into the tokens that an encoder knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.errors import BuildError
from bottega.models.texts.needed import needed


@dataclass(frozen=True)
class Block:
    """The tokens of some texts, filled up on the right to the longest of them."""

    ids: npt.NDArray[np.int64]
    """(n, t) numbers of the tokens."""
    mask: npt.NDArray[np.int64]
    """(n, t) 1 for a token, 0 for what fills up."""
    types: npt.NDArray[np.int64]
    """(n, t) of which part of the text a token is: 0 everywhere, but for odd tokenizers."""


class Tokenizer:
    """Reads a `tokenizer.json`; texts are cut after `longest` tokens, marks of begin and end among them.

    pad: the number that fills up. Raises `BuildError` where the file cannot be read.
    """

    def __init__(self, path: Path, longest: int | None, pad: int = 0, marks: bool = True) -> None:
        library = needed("tokenizers")
        try:
            self.inner: Any = library.Tokenizer.from_file(str(path))
        except Exception as error:
            raise BuildError(
                str(path),
                f"tokenizers cannot read it ({error})",
                "a tokenizer.json as Hugging Face writes it",
                "save the tokenizer again with save_pretrained, or restore the folder from a copy",
            ) from error
        self.inner.no_padding()
        if longest is None:
            self.inner.no_truncation()
        else:
            self.inner.enable_truncation(max_length=longest)
        self._pad, self._marks = pad, marks

    def read(self, texts: Sequence[str]) -> list[Any]:
        """Part each text; what comes out has `ids` and `type_ids`."""
        if len(texts) == 1:  # the library starts threads for more than one
            return [self.inner.encode(texts[0], add_special_tokens=self._marks)]
        return list(self.inner.encode_batch(list(texts), add_special_tokens=self._marks))

    def block(self, read: Sequence[Any]) -> Block:
        """Put texts that were read into one block."""
        width = max(1, *(len(one.ids) for one in read))
        ids, mask, types = (np.full((len(read), width), value, np.int64) for value in (self._pad, 0, 0))
        for row, one in enumerate(read):
            size = len(one.ids)
            ids[row, :size], mask[row, :size], types[row, :size] = one.ids, 1, one.type_ids
        return Block(ids, mask, types)
