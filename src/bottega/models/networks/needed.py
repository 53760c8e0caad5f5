"""The packages of the extra `deep`: imported where they are used, and missed by name."""

from __future__ import annotations

import importlib
from typing import Any

from bottega.errors import BuildError


def needed(package: str) -> Any:
    """Import torch, onnx or onnxruntime; `BuildError` where it is not installed.

    >>> needed("json").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise BuildError(
            "models: a network",
            f"the package {package} is not installed",
            "torch and onnx to train, onnxruntime to serve",
            "pip install 'bottega[deep]', or take the networks out of the ladder",
        ) from None
