"""An encoder without an ONNX graph, run by the library sentence-transformers on PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bottega.models.texts.encoder import Vectors, unit
from bottega.models.texts.folder import Folder, refused
from bottega.models.texts.needed import needed

_UNBOUND = 1_000_000  # tokens: more is said where there is no limit


class LibraryEncoder:
    """What the library says of each text, on the processor. Nothing is downloaded, and no code of the folder is run.

    folder: looked through. pooling: of the library's names; nothing: as the folder says. longest: tokens of a text;
    nothing: as the folder says. batch: texts at once.
    """

    def __init__(self, folder: Folder, pooling: str | None, longest: int | None, batch: int) -> None:
        library = needed("sentence_transformers")
        needed("transformers").utils.logging.disable_progress_bar()
        self._folder, self._batch = folder, batch
        try:
            self._model: Any = library.SentenceTransformer(
                str(folder.path), device="cpu", local_files_only=True, trust_remote_code=False
            )
        except Exception as error:
            what = f"sentence-transformers cannot read it ({error})"
            raise refused(folder.path, what, "save it again with SentenceTransformer(…).save_pretrained") from error
        if longest is not None:
            self._model.max_seq_length = longest
        if pooling is not None:
            parts = [part for part in self._model if hasattr(part, "pooling_mode")]
            if not parts:
                raise refused(folder.path, "no pooling that could be another", "pooling='auto'")
            parts[0].pooling_mode = pooling
        known = self._model.max_seq_length
        self.prompts = folder.prompts
        self.facts: Mapping[str, Any] = {
            "kind": "sentence-transformers",
            "hash": folder.hash(),
            "size": self.encode(["a"]).shape[1],
            "pooling": pooling or "the folder's own",
            "longest": None if known is None or known > _UNBOUND else int(known),
            "unit": folder.unit,
        }

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vector of each text, (n, size)."""
        if not texts:
            return np.zeros((0, 0), np.float32)
        found = self._model.encode(list(texts), batch_size=self._batch, prompt="", show_progress_bar=False)
        return unit(found) if self._folder.unit else np.asarray(found, np.float32)

    def save(self, folder: Path) -> None:
        """Copy the files."""
        self._folder.copy(folder)
