"""From an encoder's folder to the encoder."""

from __future__ import annotations

from pathlib import Path

from bottega.models.texts.encoder import TextEncoder
from bottega.models.texts.folder import read_folder
from bottega.models.texts.graph import GraphEncoder
from bottega.models.texts.library import LibraryEncoder
from bottega.models.texts.static import StaticEncoder


def open_encoder(path: Path, pooling: str | None = None, longest: int | None = None, batch: int = 32) -> TextEncoder:
    """Read an encoder from its folder: a graph for ONNX Runtime, a vector for each token, or what PyTorch runs.

    path: as sentence-transformers, Optimum or model2vec save it. pooling: of `texts.pooling.WAYS`; nothing: as the
    folder says, else the mean. longest: tokens after which a text is cut; nothing: as the folder says. batch: texts
    encoded at once; larger is faster to a point, and needs more memory.
    Raises `BuildError`: no such folder, of no form that is known, damaged, or a package is missing.
    """
    folder = read_folder(path)
    if folder.kind == "onnx":
        return GraphEncoder(folder, pooling, longest, batch)
    return (
        StaticEncoder(folder, longest) if folder.kind == "static" else LibraryEncoder(folder, pooling, longest, batch)
    )
