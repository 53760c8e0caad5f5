"""Small tables for the rules that go by data: ordinary ones, and for each such rule those that it is about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAYS, ROWS, ADS, USERS = 28, 12_000, 40, 300
START = np.datetime64("2026-01-05T00:00:00", "us")  # a Monday


def write(folder: Path, code: str = "") -> Path:
    """Write the tables of the small designs into a folder, as the rule of this code wants them."""
    draw = np.random.default_rng(7)
    shown, ads = _shown(draw), _ads(draw)
    users = None
    if code == "R211":
        delay = np.where(draw.random(ROWS) < 0.6, 600, 2 * 86_400).astype("timedelta64[s]")
        shown["clicked_at"] = np.where(shown["clicked"] == 1, shown["at"] + delay, np.datetime64("NaT"))
    elif code == "R212":
        weekend = (shown["at"].astype("datetime64[D]").astype(int) + 3) % 7 >= 5
        shown["clicked"] = (draw.random(ROWS) < np.where(weekend, 0.3, 0.15)).astype(np.int8)
    elif code == "R213":
        shown["clicked"] = (draw.random(ROWS) < 0.05).astype(np.int8)
    elif code == "R214":
        twice = np.sort(np.concatenate([np.arange(ROWS), np.arange(0, ROWS, 20)]))
        shown = {name: column[twice] for name, column in shown.items()}
    elif code == "R215":
        shown["ingested_at"] = shown["at"] + draw.integers(3_600, 3 * 3_600, ROWS).astype("timedelta64[s]")
    elif code == "R216":
        users = {"user": np.arange(USERS), "email": [f"{user}@example.org" for user in range(USERS)]}
    elif code == "R217":
        shown["seen"] = shown["clicked"]
        shown["clicked"] = np.zeros(ROWS, np.int8)
    elif code == "R220":
        del shown["at"]
        shown["user"], shown["visit"] = np.divmod(np.arange(ROWS), ROWS // USERS)
    elif code == "R312":
        ads = _ads(draw, 2_000)
        shown["ad"] = draw.integers(0, 2_000, ROWS)
    elif code == "R314":
        shown["basket"] = np.where(shown["clicked"] == 1, draw.uniform(5, 90, ROWS), draw.exponential(0.4, ROWS))
        shown["interest"] = shown["clicked"] + draw.normal(0, 0.8, ROWS)
    elif code == "R315":
        ads["segment"] = np.array([None] * ADS, object)
        ads["size"] = np.array(["small", None, "large", None] * (ADS // 4), object)
    elif code == "R316":
        shown["at"] = shown["at"].astype("datetime64[D]").astype("datetime64[us]")
    elif code == "R501":
        shown["clicked"] = (draw.random(ROWS) < np.where(shown["ad"] < 4, 0.1, 0.001)).astype(np.int8)
    elif code == "R704":
        week = (shown["at"] - START).astype("timedelta64[D]").astype(int) // 7
        shown["clicked"] = (draw.random(ROWS) < 0.1 * 1.5**week).astype(np.int8)
    for name, columns in {"shown": shown, "ads": ads, "users": users, "orders": _orders(draw)}.items():
        if columns is not None:
            pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def _shown(draw: np.random.Generator) -> dict[str, np.ndarray]:
    second = np.sort(draw.choice(DAYS * 86_400, ROWS, replace=False))
    position, ad = draw.integers(1, 5, ROWS), draw.integers(0, ADS, ROWS)
    liked = draw.uniform(0.5, 1.5, ADS)[ad]
    return {
        "event": np.arange(ROWS),
        "at": START + second.astype("timedelta64[s]"),
        "user": draw.integers(0, USERS, ROWS),
        "device": draw.choice(["phone", "desk"], ROWS),
        "ad": ad,
        "position": position,
        "chance": np.full(ROWS, 0.25),
        "clicked": (draw.random(ROWS) < 0.4 * liked / position).astype(np.int8),
    }


def _ads(draw: np.random.Generator, ads: int = ADS) -> dict[str, object]:
    return {
        "ad": np.arange(ads),
        "advertiser": [f"firm {ad % 8}" for ad in range(ads)],
        "bid": draw.uniform(0.1, 2, ads),
        "description": [f"offer number {ad}" for ad in range(ads)],
    }


def _orders(draw: np.random.Generator) -> dict[str, np.ndarray]:
    second = np.sort(draw.choice(56 * 86_400, ROWS, replace=False))
    return {
        "line": np.arange(ROWS),
        "at": START + second.astype("timedelta64[s]"),
        "customer": draw.integers(0, 400, ROWS),
        "product": draw.integers(0, 120, ROWS),
    }
