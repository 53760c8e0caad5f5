"""The packages of the extra `texts`: imported where they are used, and missed by name."""

from __future__ import annotations

import importlib
from typing import Any

from bottega.errors import BuildError

WHERE = "models: Dense.encoder"


def needed(package: str) -> Any:
    """Import tokenizers, onnxruntime, safetensors or sentence_transformers; `BuildError` where it is not installed.

    >>> needed("json").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        torch = package == "sentence_transformers"
        raise BuildError(
            WHERE,
            f"the package {package} is not installed",
            "sentence-transformers for a folder without ONNX" if torch else "tokenizers, onnxruntime and safetensors",
            f"pip install 'bottega[{'sentences' if torch else 'texts'}]', or leave encoder out to learn one here",
        ) from None
