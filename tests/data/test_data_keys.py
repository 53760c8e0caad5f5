"""Ids as text and as numbers, against plain Python."""

import doctest
import importlib
import math
import pkgutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bottega as bt
import bottega.data
from bottega.data.keys import as_text, combined, encode, identifiers

TEXTS = st.lists(st.none() | st.text(max_size=4), max_size=30)


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(bottega.data.__path__)])
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"bottega.data.{name}")).failed == 0


@given(st.lists(st.none() | st.integers(-(2**52), 2**52), max_size=30))
def test_whole_numbers_have_one_form(values: list[int | None]) -> None:
    expected = [None if value is None else str(value) for value in values]
    assert as_text(pa.array(values, pa.int64())).to_pylist() == expected
    assert as_text(pa.array(values, pa.float64())).to_pylist() == expected
    assert as_text(pa.chunked_array([pa.array(expected, pa.large_string())])).to_pylist() == expected
    assert as_text(pa.array(expected, pa.string()).dictionary_encode()).to_pylist() == expected


@given(st.lists(st.floats(width=64), max_size=30))
def test_floats_read_back_as_themselves(values: list[float]) -> None:
    for value, text in zip(values, as_text(pa.array(values, pa.float64())).to_pylist(), strict=True):
        assert text is None if not math.isfinite(value) else float(text) == value


def test_other_types() -> None:
    from decimal import Decimal

    assert as_text(pa.array([True, False, None])).to_pylist() == ["true", "false", None]
    assert as_text(pa.array([Decimal("7.00"), Decimal("7.25")])).to_pylist() == ["7", "7.25"]
    assert as_text(pa.array([b"a"])).to_pylist() == ["a"]
    assert as_text(pa.chunked_array([["a"], ["b"]])).to_pylist() == ["a", "b"]
    assert as_text(pa.chunked_array([], pa.string())).to_pylist() == []


@given(TEXTS)
def test_encode_sorts_by_bytes(texts: list[str | None]) -> None:
    codes, vocabulary = encode(pa.array(texts, pa.string()))
    words = sorted({text for text in texts if text is not None}, key=str.encode)
    assert vocabulary.to_pylist() == words
    assert codes.dtype == np.int32
    assert codes.tolist() == [-1 if text is None else words.index(text) for text in texts]


@given(TEXTS, st.lists(st.text(max_size=4), max_size=10, unique=True))
def test_encode_by_a_vocabulary(texts: list[str | None], words: list[str]) -> None:
    codes, _ = encode(pa.array(texts, pa.large_string()), pa.array(words, pa.string()))
    assert codes.tolist() == [words.index(text) if text in words else -1 for text in texts]


def test_identifiers_are_what_the_design_goes_by(make_design) -> None:
    design = make_design(
        bt.FromPositives("log", request=["customer", "age"], candidate="product", horizon="7d"),
        bt.TimeSplit(test="7d"),
        features=[
            bt.Window("log", by=["customer", "shop"], values={"n": "count(*)"}),
            bt.Expression({"hour": "extract(hour from request_time)"}),
            bt.Cross("hour", "colour"),
        ],
        table=bt.Table("log", time="time", key="line"),
    )
    assert identifiers(design) == {"customer", "product", "shop", "colour", "line"}


def test_combinations_of_more_values_than_a_number_holds() -> None:
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, 3, 400).astype(np.int32) for _ in range(9)]
    columns += [columns[0] + 7, columns[1]]
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    keys = combined((column, 2**31 - 1) for column in columns)  # 2³¹ to the power of 11 combinations
    assert [rows[at] for at in np.argsort(keys, kind="stable")] == sorted(rows)
    assert len(np.unique(keys)) == len(set(rows))
