"""Step 4, models that encode: each turns a thing into a vector, near to those of things like it."""

from __future__ import annotations

from bottega.design.part import Choice


class ImageEncoder(Choice, frozen=True):
    """Encode a picture as a vector, near to those of relevant pictures."""

    embedding_size: int = 64
    """Length of the vector, at least 2; larger tells more apart and costs memory."""
    epochs: int = 5
    """Passes over the pictures, at least 1."""
    learning_rate: float = 1e-3
    """Step of the optimiser, above 0 to 1."""
    seed: int = 0
    """Another seed starts elsewhere."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_range("embedding_size", 2, 65_536)
        self.check_range("epochs", 1, 10_000)
        self.check_range("learning_rate", 0, 1, low_open=True)
