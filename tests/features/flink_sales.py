"""A shop's events as they reach a stream: late, early, repeated, out of order, in all forms that events may have."""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from oracle import length

import bottega as bt

TEXT, FLOAT, WHOLE, TRUTH, TIME = pa.string(), pa.float64(), pa.int64(), pa.bool_(), pa.timestamp("us", "UTC")
START, PART = 1_700_000_000_000_000, 300_000_000
Schemas = dict[str, pa.Schema]
Row = dict[str, Any]


def schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


DESIGN = bt.Design(
    name="sales",
    scope=bt.Scope(question="Who buys again?"),
    data=bt.Data(
        tables=[
            bt.Table("sales", time="at", created="entered", event_id="id", available_after="10min"),
            bt.Table("visits", time="time", timezone="Asia/Singapore"),
            bt.Table("shops", key="shop"),
        ],
        examples=bt.Logged("sales", request=["shop"]),
        labels=[
            bt.Label("kept", matures_after="2h", observed_at="seen"),
            bt.Label("fraud", matures_after="3h"),
        ],
        split=bt.TimeSplit(test="1d"),
    ),
    features=[
        bt.Window(
            "sales", "shop", over=["1h", "7d", "all"], where="c <> 'gone;\n\nÜ\\'",
            values={
                "n": "count(*)", "filled": "count(x)", "total": "sum(x * 2)", "mean": "avg(x)", "least": "min(x)",
                "most": "max(at)", "entered": "min(entered)", "fresh": "decayed_sum(x, '3h')",
            },
        ),
        bt.Window(
            "sales", ["shop", "item"], over=["2h", "all"], hop="exact",
            values={
                "kept": "sum(kept)", "frauds": "avg(case when kept and fraud then 1 else 0 end)", "n": "count(*)",
                "values": "count(distinct x)", "letters": "count(distinct c)", "letter": "last(lower(c))",
                "moment": "last(seen)", "half": "last(item / 2)",
            },
        ),
        bt.Window("visits", "shop", {"texts": "count(distinct x)", "hour": "max(extract(hour from time))"}, ["1d"]),
        bt.Lookup("sales", "shop", ["x", "c", "seen", "kept"]),
        bt.Lookup("shops", "shop", ["city", "size"]),
    ],
    models={"rank": [bt.Logistic()]},
    evaluation=bt.Evaluation(primary="log_loss"),
    serving=bt.Serving(path=[bt.Score("rank")]),
)  # fmt: skip
SCHEMAS = {
    "sales": schema(
        id=TEXT, shop=TEXT, item=FLOAT, at=TIME, entered=TIME, seen=TIME, x=FLOAT, c=TEXT, kept=TRUTH, fraud=WHOLE
    ),
    "visits": schema(shop=TEXT, time=TIME, x=TEXT),
    "shops": schema(shop=TEXT, city=TEXT, size=WHOLE),
}
MINUTE = length("1min")
DELAY = 10 * MINUTE
GONE = "gone;\n\nÜ\\"


def iso(time: int, dice: random.Random) -> int | str:
    """A time in one of the forms that events may have."""
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=time)
    if time % 1_000_000 == 0:
        return dice.choice([time, f"{moment:%Y-%m-%dT%H:%M:%S}Z", f"{moment:%Y-%m-%d %H:%M:%S}+00:00"])
    return dice.choice([time, moment.isoformat() + "Z", moment.isoformat() + "+00:00"])


def events(seed: int, many: int, start: int = START) -> list[tuple[int, Row]]:
    """Events in the order of arrival, late by up to a day or ahead of it, each with when it arrived."""
    dice = random.Random(seed)
    found: list[tuple[int, Row]] = []
    arrival = start
    ids: list[Row] = []
    for number in range(many):
        arrival += dice.choice([1, 999, 1_000_000, dice.randrange(1, 60_000_000)])
        if dice.random() < 0.1:
            arrival = -(-arrival // PART) * PART  # at the very border of a part
        late = dice.choice(
            [0, 0, -1, 1, dice.randrange(MINUTE), dice.randrange(1440 * MINUTE), -dice.randrange(20 * MINUTE)]
        )
        time = arrival - late - (arrival - late) % dice.choice([1, 1_000_000])
        table = dice.choice(["sales", "sales", "sales", "visits", "shops"])
        shop = dice.choice(["s0", "s1", "ü'2", "", None])
        event: Row = {"table": table, "shop": shop}
        if table == "shops":
            event |= {"city": dice.choice(["Rome", "Bern", None]), "size": dice.randrange(9)}
        elif table == "visits":
            event |= {
                "x": dice.choice(["a", "7", None]),
                "time": dice.choice([time, time, None, -1, -(-arrival // PART) * PART]),
            }
        else:
            event |= {
                "id": dice.choice([f"e{seed}-{number}", None]),
                "item": dice.choice([1, 2.0, 2.5, None]),
                "at": iso(time, dice),
                "entered": dice.choice([None, iso(arrival - dice.randrange(60 * MINUTE), dice)]),
                "seen": dice.choice([None, iso(time + dice.randrange(90 * MINUTE), dice)]),
                "x": dice.choice([None, 0.0, -0.0, 1, dice.uniform(-9, 9), 1e6]),
                "c": dice.choice(["A", "ΟΔΟΣ", GONE, None]),
                "kept": dice.choice([True, False, None]),
                "fraud": dice.choice([0, 1]),
            }  # fmt: skip
            if dice.random() < 0.2:
                event["time"] = event.pop("at")  # the event's own time may stand under that name
            if ids and dice.random() < 0.2:
                event = dice.choice(ids)
            elif event["id"] is not None:
                ids.append(event)
        found.append((arrival, event))
    return found


def micros(value: int | str | None) -> int | None:
    if not isinstance(value, str):
        return value
    return (datetime.datetime.fromisoformat(value).replace(tzinfo=None) - datetime.datetime(1970, 1, 1)) // (
        datetime.timedelta(microseconds=1)
    )


def rows_of(found: Sequence[tuple[int, Row]]) -> list[Row]:
    """What the events say, each once, with times as microseconds; written from the semantics."""
    rows, seen = [], set()
    for arrival, event in found:
        row = {**event, "arrival": arrival}
        if row.get("id") is not None:
            if row["id"] in seen:
                continue
            seen.add(row["id"])
        if event["table"] == "shops":
            row |= {"own": 0, "known": 0}
        else:
            own = micros(event.get("at", event.get("time")))
            row["own"] = row["known"] = arrival if own is None else own
            row["at"] = row["time"] = row["own"]
        if event["table"] == "sales":
            entered = micros(event["entered"])
            row["entered"] = arrival if entered is None else entered
            row["known"] = max(row["own"], row["entered"]) + DELAY
            row["seen"] = micros(event["seen"])
            row["x"] = None if event["x"] is None else float(event["x"])
            row["kept"] = None if event["kept"] is None else float(event["kept"])
            item = event["item"]
            row["item_text"] = None if item is None else str(int(item)) if item == int(item) else str(item)
        rows.append(row)
    return rows
