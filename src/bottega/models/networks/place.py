"""Place: the device, the precision and the threads with which a network learns, chosen from the machine alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bottega.errors import BuildError
from bottega.models.networks.needed import needed

DEVICE = "BOTTEGA_DEVICE"
_SMALL = 2e8  # multiplications of a step under which a second thread, and rounding, cost more than they gain
_THREADS = 4  # at most: each takes a part of the batch, and what they do in turn grows with their number


@dataclass(frozen=True)
class Place:
    """Where and how a network learns. device: as PyTorch names it. precision: of the products. threads: parts of a
    batch that are learnt side by side."""

    device: str
    precision: str
    threads: int

    @classmethod
    def of(cls, products: float) -> Place:
        """The place for steps of so many multiplications.

        The environment's `BOTTEGA_DEVICE` decides (`cpu`, `cuda`, `cuda:1`); without it, a GPU where there is one.
        Products are rounded to bfloat16 where the machine multiplies that faster than float32; sums, weights and
        moments stay float32. Raises `BuildError` for a device that is not there.
        """
        torch = needed("torch")
        device = os.environ.get(DEVICE) or ("cuda" if torch.cuda.is_available() else "cpu")
        if device == "cpu":
            large = products > _SMALL
            fast = any(torch.cpu.get_capabilities().get(flag) for flag in ("avx512_bf16", "amx_bf16"))
            return cls(
                "cpu",
                "bfloat16" if large and fast else "float32",
                min(torch.get_num_threads(), _THREADS) if large else 1,
            )
        if device.partition(":")[0] != "cuda" or not torch.cuda.is_available():
            raise BuildError(
                DEVICE,
                f"{device!r}, and PyTorch finds no such device",
                "cpu, or cuda where PyTorch was installed for the GPU that is there",
                f"unset {DEVICE}, or set {DEVICE}=cpu",
            )
        return cls(device, "bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "float32", 1)

    @property
    def kind(self) -> Any:
        """PyTorch's name of the precision."""
        return getattr(needed("torch"), self.precision)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Let PyTorch use one thread for an operation, and give its threads and random numbers back as they were.

        Parts of a batch run side by side instead: threads within an operation spin while they wait for each other, and
        on a busy machine two are then many times slower than one.
        """
        torch = needed("torch")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[self.device] if self.device != "cpu" else []):
                yield
        finally:
            torch.set_num_threads(threads)
