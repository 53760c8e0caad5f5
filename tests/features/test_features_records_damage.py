"""Bytes that are no records: refused, or read as some numbers, but never a word outside them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_features_records import DAY, HOUR, START, Asked, events_of, features, logs, moments, one

from bottega.design.data import Label
from bottega.design.features import Lookup, Window
from bottega.errors import DataError
from bottega.features import records_texts
from bottega.features.records import Codec
from bottega.features.records_texts import Spelt, read, written

EVERY_KIND = Asked(
    [
        Window("events", "k", {"n": "count(*)", "s": "sum(x)", "d": "count(distinct c)"}, ["1h", "30d", "all"]),
        Window("events", "k", {"c": "last(c)", "f": "decayed_sum(x, '1h')"}, ["1d"], name="w"),
        Lookup("events", "k", ["c", "x", "seen"], ttl="90d"),
    ],
    [Label("x", matures_after="2h")],
)


def sound(asked: Asked) -> tuple[Codec, bytes]:
    codec = Codec(asked.group())
    events = [one(START + step * HOUR, c=text) for step, text in enumerate(["u", "v", "ünï", None, "long" * 20])]
    places = [(number % 3, number) for number in range(len(events))]
    return codec, codec.fold([None], events_of(asked, ["a"], events, places), START + 3 * HOUR)[0]


def use(codec: Codec, row: bytes, asked: Asked) -> None:
    """Do all that can be done with a record."""
    fresh = events_of(asked, ["a"], [one(START + DAY, c="new"), one(START + DAY + 1, c="u")], [(1, 90), (4, 1)])
    whole = codec.fold([None], fresh, START)[0]
    calls: Sequence[Callable[[], object]] = [
        lambda: codec.values([None, row, whole], np.array([START, START + 4 * HOUR, START + 2 * DAY])),
        lambda: codec.fold([row, whole], fresh, START + 2 * DAY),
        lambda: codec.merge(row, whole),
        lambda: codec.merge(whole, row),
        lambda: codec.offsets(row),
        lambda: list(codec.texts(row)),
        lambda: codec.until([row]),
        lambda: codec.counts(row),
    ]
    for call in calls:
        with suppress(DataError):
            call()


@settings(max_examples=600)
@given(st.data())
def test_any_changed_bytes_are_refused_or_read(data: st.DataObject) -> None:
    codec, row = sound(EVERY_KIND)
    changed = bytearray(row)
    for _ in range(data.draw(st.integers(1, 4))):
        spot = data.draw(st.integers(0, len(row) // 8 - 1)) * 8
        word = data.draw(
            st.sampled_from(
                [-(2**63), 2**63 - 1, -1, 0, 1, 2, 3, 9, 2**31, 2**32, 2**61, 2**62, len(row), len(row) // 8]
            )
            | st.integers(-(2**63), 2**63 - 1)
        )
        changed[spot : spot + 8] = word.to_bytes(8, "little", signed=True)
    cut = data.draw(st.sampled_from([0, 0, 1, 8, 16, 64, len(row) - 8, len(row) - 24]))
    more = data.draw(st.sampled_from([b"", b"", bytes(8), b"\xff" * 8, b"\x01" * 24]))
    use(codec, bytes(changed[: len(row) - cut]) + more, EVERY_KIND)


@settings(max_examples=200)
@given(features(), logs(), st.data())
def test_records_of_any_layout_may_be_damaged(asked: Asked, events: list, data: st.DataObject) -> None:
    codec = Codec(asked.group())
    row = codec.fold([None], events_of(asked, ["a"], events), data.draw(st.sampled_from(moments(events))))[0]
    changed = bytearray(row)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(8, len(row) - 1))] ^= data.draw(st.integers(1, 255))
    use(codec, bytes(changed), asked)


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_bytes_that_are_no_record_are_refused(row: bytes) -> None:
    codec, _ = sound(EVERY_KIND)
    if row:
        for call in (
            lambda: codec.values([row], START),
            lambda: codec.fold([row], events_of(EVERY_KIND, ["a"], []), 0),
        ):
            with pytest.raises(DataError, match="record"):
                call()
        with pytest.raises(DataError, match="record"):
            codec.offsets(row)


def test_a_record_of_another_design_is_refused() -> None:
    def codec(**changed: object) -> Codec:
        window = {"table": "events", "by": "k", "values": {"n": "count(x)"}, "over": ["1d"], "where": None, "hop": "1h"}
        return Codec(Asked([Window(**window | changed)], []).group())

    asked = Asked([Window("events", "k", {"n": "count(x)"}, ["1d"], hop="1h")], [])
    row = codec().fold([None], events_of(asked, ["a"], [one(START)]), START + 1)[0]
    assert codec().values([row], START + 1).numbers.tolist() == [[1.0]]
    for changed in (
        {"over": ["2d"]},
        {"hop": "2h"},
        {"values": {"n": "sum(x)"}},
        {"values": {"n": "count(moment)"}},
        {"where": "c = 'u'"},
        {"name": "other"},
    ):
        with pytest.raises(DataError, match=r"store, group 'k': record 1 .* another design"):
            codec(**changed).values([None, row], START + 1)


def test_a_text_that_did_not_come_is_told() -> None:
    asked = Asked([Lookup("events", "k", ["c"])], [])
    codec, events = Codec(asked.group()), events_of(asked, ["a"], [one(START)])
    events.texts.clear()  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="a text of record 0 that is nowhere"):
        codec.fold([None], events, START + 1)


def test_a_reader_that_never_saw_a_text_finds_it_in_the_record() -> None:
    asked = Asked([Lookup("events", "k", ["c"]), Window("events", "k", {"c": "last(c)"}, ["1h"], name="w")], [])
    texts = ["", "u", "ünï" * 30, "x" * 7, "y" * 8]
    events = [one(START + number, c=text) for number, text in enumerate(texts)]
    rows = [Codec(asked.group()).fold([None], events_of(asked, ["a"], events[: n + 1]), START + 9)[0] for n in range(5)]
    made = Codec(asked.group()).values(rows, START + 9)
    for column in made.texts.values():
        assert [column.words.texts[place] for place in column.places] == texts
    later = Codec(asked.group()).fold(rows, events_of(asked, ["a"], []), START + DAY)
    made = Codec(asked.group()).values(later, START + DAY)
    assert [made.texts["k_c"].words.texts[place] for place in made.texts["k_c"].places] == texts
    assert made.texts["w_c_1h"].places.tolist() == [0] * 5


def test_remembered_texts_begin_anew_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {mark: f"text {mark}" for mark in range(1, 50)}
    asked: list[int] = []

    def texts(wanted: np.ndarray) -> list[tuple[int, str]]:
        asked.extend(wanted.tolist())
        return [(mark, rows[mark]) for mark in hashes[wanted].tolist()]

    spelt = Spelt(most=4)
    for begin in range(1, 49, 3):
        hashes = np.array([begin, 0, begin + 1, begin])
        column = spelt.column(hashes, texts)
        assert [column.words.texts[place] for place in column.places] == [
            rows[begin],
            None,
            rows[begin + 1],
            rows[begin],
        ]
        assert len(column.words.texts) <= 4 + 3
        held = len(asked)
        spelt.column(hashes, texts)
        assert len(asked) == held, "what is remembered is not asked for"
    monkeypatch.setattr(records_texts, "LARGEST", 10)
    before = spelt.column(np.array([1]), lambda _: [(1, "a long text")]).words
    hashes = np.array([2])
    assert spelt.column(hashes, texts).words is not before


@settings(max_examples=100)
@given(st.dictionaries(st.integers(1, 2**64 - 1), st.text(), max_size=6))
def test_texts_are_read_as_they_were_written(texts: dict[int, str]) -> None:
    wanted = np.array(list(texts), np.uint64).view(np.int64)
    hashes, places, blob = written(texts, np.concatenate([wanted, wanted[:2], [0]]))
    assert (np.diff(hashes) > 0).all()
    assert len(hashes) + 1 == len(places)
    assert {mark & (2**64 - 1): text for mark, text in read(blob.tobytes())} == texts


@pytest.mark.parametrize(
    ("blob", "says"),
    [
        (b"12345678", "half a text"),
        ((5).to_bytes(8, "little") + (9).to_bytes(8, "little") + b"12345678", "a text of 9 bytes"),
        ((5).to_bytes(8, "little") + (-1).to_bytes(8, "little", signed=True), "a text of -1 bytes"),
        ((5).to_bytes(8, "little") + (1).to_bytes(8, "little") + b"\xff" + bytes(7), "not UTF-8"),
    ],
)
def test_damaged_texts_are_named(blob: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        list(read(blob))


def test_no_kernel_leaves_its_arrays(tmp_path: Path) -> None:
    """The same in a process whose kernels check every place: there a word outside is an error, whatever lies there."""
    code = """
import numpy as np
import pytest
from bottega.metrics.compiling import compiled

@compiled
def outside(words, place):
    return words[place]

with pytest.raises(IndexError):
    outside(np.zeros(3), 3)
raise SystemExit(pytest.main(["test_features_records_damage.py", "-k", "changed_bytes or any_layout"]))
"""
    script = tmp_path / "checked.py"
    script.write_text(code)
    path = os.pathsep.join([str(Path.cwd()), str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": path}
    subprocess.run([sys.executable, str(script)], check=True, cwd=Path(__file__).parent, env=environment)


def test_kernels_are_compiled_once_for_whatever_arrays_come() -> None:
    """A second compilation would cost seconds in the midst of serving; a fresh process counts them."""
    code = """
import numpy as np
from test_features_records import START, Asked, events_of, one
from bottega.design.features import Lookup, Window
from bottega.features import kernels_records, kernels_records_fold, kernels_records_read
from bottega.features.records import Codec
for features in ([Lookup("events", "k", ["c"])], [Window("events", "k", {"n": "count(*)", "s": "sum(x)"}, ["1h"])]):
    asked = Asked(features, [])
    codec = Codec(asked.group())
    for frozen in (False, True):
        events = events_of(asked, ["a"], [one(START)])
        for track in events.tracks:
            track.time.flags.writeable = not frozen
        row = codec.fold([None, None], events, START)[0]
        codec.fold([row], events, np.int64(START + 1))
        codec.values([row, None], START + 1), codec.values([], START), codec.values([row], np.full(1, START))
        codec.merge(row, row), codec.until([row]), codec.offsets(row)
for kernel in (kernels_records_fold.fold, kernels_records_fold.merge, kernels_records_fold.until,
               kernels_records_read.values, kernels_records.checked):
    assert len(kernel.signatures) == 1, (kernel, kernel.signatures)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
