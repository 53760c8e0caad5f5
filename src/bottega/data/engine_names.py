"""Which warehouses compute features themselves: known without loading any of them."""

from __future__ import annotations

DISTRIBUTED = ("pyspark", "bigquery", "snowflake")
"""Engines that compute features: the others hand over their tables, and one machine computes more quickly."""


def engine_name(url: str) -> str:
    """Give the engine that a warehouse's URL names.

    >>> engine_name("bigquery://project/dataset")
    'bigquery'
    """
    return url.partition("://")[0]


def distributed(url: str | None) -> bool:
    """Tell whether a warehouse computes features itself.

    >>> distributed("pyspark://"), distributed("duckdb://shop.db"), distributed(None)
    (True, False, False)
    """
    return url is not None and engine_name(url) in DISTRIBUTED
