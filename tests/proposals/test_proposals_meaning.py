"""What a proposal says of a label: which way it should go, in a sentence, and by whom intervals are counted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import BEGIN, clicks, takings, times

import bottega as bt
from bottega.metrics.ranking import Ranking
from bottega.metrics.relevance import ndcg
from bottega.proposals.chance import by_chance, by_popularity
from bottega.proposals.kinds import columns_of
from bottega.proposals.meaning import direction, quantity_of, question_of
from bottega.proposals.proposal import Proposal
from bottega.proposals.propose import propose
from bottega.proposals.roles import roles_of

N = 1200
RNG = np.random.default_rng(5)
LABEL = (RNG.random(N) < 0.3).astype(np.int64)


def made(folder: Path, columns: dict[str, Any]) -> Proposal:
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return propose("mine", folder / "rows.parquet")


@pytest.mark.parametrize(
    ("words", "positive", "way"),
    [
        ("is_fraud", None, "down"), ("isfraud", None, "down"), ("defaulted", None, "down"), ("Churn", "Yes", "down"),
        ("Churn", "No", "up"), ("status", "not churned", "up"), ("status", "unpaid", "down"),
        ("cancelled", "Y", "down"),
        ("converted", None, "up"), ("clicked", None, "up"), ("unsubscribed", None, "down"),
        ("readmitted", None, "down"),
        ("y", None, None), ("label", "b", None), ("是否点击", None, "up"), ("欺诈", None, "down"),
    ],
)  # fmt: skip
def test_a_label_should_go_the_way_that_its_name_means(words: str, positive: str | None, way: str | None) -> None:
    (column,) = columns_of(pa.table({words: ["x"]}))
    assert direction(column.words, positive) == way


@pytest.mark.parametrize(("days", "late"), [(200, "7d"), (40, "2d"), (None, "0s")])
@pytest.mark.parametrize(("name", "way"), [("converted", "up"), ("defaulted", "down")])
def test_no_log_is_too_short_for_the_direction(
    tmp_path: Path, days: int | None, late: str, name: str, way: str
) -> None:
    columns: dict[str, Any] = {
        "user_id": RNG.integers(0, 90, N),
        "ad_id": RNG.integers(0, 20, N),
        "x": RNG.random(N),
        name: LABEL,
    }
    if days is not None:
        columns["at"] = [BEGIN + timedelta(days=days * place / N) for place in range(N)]
    design = made(tmp_path, columns).design
    assert design.scope.objective is not None
    assert design.scope.objective.direction == way
    if name == "converted":
        assert design.data.labels[0].matures_after == late


def test_a_direction_that_no_name_tells_is_said_to_be_a_guess(tmp_path: Path) -> None:
    found = made(tmp_path, {"user_id": RNG.integers(0, 90, N), "plan": RNG.choice(["a", "b"], N), "y": LABEL})
    assert "is a guess" in found.notes["scope.objective"]
    assert "scope.objective" not in propose("mine", written(tmp_path, clicks())).notes


def written(folder: Path, table: pa.Table) -> Path:
    pq.write_table(table, folder / "rows.parquet")
    return folder / "rows.parquet"


@pytest.mark.parametrize(
    ("label", "positive", "judged", "asked", "moved"),
    [
        ("clicked", None, "ad_id", "How likely is it that this ad is clicked?", "share of ads that are clicked"),
        ("defaulted", None, "loan_id", "How likely is it that this loan has defaulted?",
         "share of loans that have defaulted"),
        ("churn", "Yes", "customer_id", "How likely is churn for this customer?", "share of customers with churn"),
        ("click", None, "category", "How likely is a click for this category?", "clicks per request"),
        ("y", None, "row", "How likely is it that y is 1 for this row?", "share of rows whose y is 1"),
        ("status", "bad", "id", "How likely is it that status is bad for this row?",
         "share of rows whose status is bad"),
    ],
)  # fmt: skip
def test_questions_are_sentences(label: str, positive: str | None, judged: str, asked: str, moved: str) -> None:
    assert question_of(label, positive, judged) == asked
    assert quantity_of(label, positive, judged) == moved


def test_a_log_of_takings_asks_in_words(tmp_path: Path) -> None:
    path = written(tmp_path, takings(names=("user_id", "book_id", "at")))
    scope = propose("mine", path).design.scope
    assert scope.question == "Which 10 books do we show this user next?"
    assert scope.objective == bt.Objective("books taken per user")


def test_no_category_is_the_unit_of_intervals(tmp_path: Path) -> None:
    columns = {"purpose": RNG.choice(["car", "house"], N), "amount": RNG.random(N), "at": times(N, 120)}
    found = made(tmp_path, {**columns, "defaulted": LABEL})
    assert found.design.evaluation.unit == "request"
    assert "stands for itself" in found.notes["evaluation.unit"]
    who = {"loan_id": np.arange(N), "customer_id": RNG.integers(0, 200, N)}
    named = made(tmp_path, {**who, **columns, "defaulted": LABEL}).design
    assert isinstance(named.data.examples, bt.Logged)
    assert (named.data.examples.candidate, named.data.examples.request[0]) == ("loan_id", "customer_id")
    assert named.evaluation.unit is None  # the first of the request is who asks


def test_what_names_each_person_once_is_judged_and_personal(tmp_path: Path) -> None:
    columns = {"contract": RNG.choice(["month", "year"], N), "tenure": RNG.integers(1, 70, N), "at": times(N, 120)}
    design = made(tmp_path, {"customerID": [f"c{row}" for row in range(N)], **columns, "Churn": LABEL}).design
    assert isinstance(design.data.examples, bt.Logged)
    assert design.data.examples.candidate == "customer_id"
    assert list(design.data.tables[0].personal) == ["customer_id"]


def test_positives_of_the_test_are_those_whose_label_is_final(tmp_path: Path) -> None:
    """Counted again from the design's own split and maturity."""
    days = np.arange(N) / 4
    at = [BEGIN + timedelta(days=float(day)) for day in days]
    found = made(
        tmp_path, {"user_id": RNG.integers(0, 90, N), "plan": RNG.choice(["a", "b"], N), "at": at, "fraud": LABEL}
    )
    split = found.design.data.split
    assert isinstance(split, bt.TimeSplit)
    assert found.design.data.labels[0].matures_after == "7d"
    test, last = float(split.test.rstrip("d")), float(days.max())
    count = int(LABEL[(days >= last - test) & (days <= last - 7)].sum())
    assert found.notes["evaluation.goals[1]"].startswith(f"About {count:,} positives in the test")
    assert test - 7 == pytest.approx(0.15 * last, abs=1)  # what is judged is as long as ever


def test_a_watch_rings_under_what_chance_would_reach() -> None:
    queries, grades = np.repeat(np.arange(60), 12), RNG.integers(0, 4, 720).astype(float)
    drawn = [ndcg(Ranking(queries, RNG.random(720), grades), 5).mean() for _ in range(300)]
    assert by_chance(queries, grades, 5) == pytest.approx(float(np.mean(drawn)), abs=0.01)
    assert by_chance(queries, np.zeros(720), 5) == 0


def test_what_is_popular_is_judged_as_a_list_of_its_own() -> None:
    """Item 1 leads the day before; of two people of the last day one takes it, the other the second."""
    day = 86_400_000_000
    items, people = np.array([1, 1, 0, 1, 0]), np.array([0, 1, 2, 0, 1])
    time = np.array([0, 0, 0, 1.5, 1.5]) * day
    expected = (1 + 1 / np.log2(3)) / 2
    assert by_popularity(people, items, time.astype(np.int64), 1.0, 2) == pytest.approx(expected)
    assert by_popularity(people - 9, items, time.astype(np.int64), 1.0, 2) == 0


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (("用户编号", "商品编号", "曝光时间", "城市"), "是否点击"),
        (("ユーザーID", "商品番号", "日時", "都市"), "クリック"),
        (("пользователь_ид", "товар_ид", "время", "город"), "клик"),
        (("id_usuário", "id_producto", "fecha", "ciudad"), "comprado"),
        (("Kunde_Nr", "Artikel_Nr", "Zeitpunkt", "Stadt"), "gekauft"),
        (("معرف_المستخدم", "المنتج", "التاريخ", "مدينة"), "شراء"),
    ],
)
def test_who_and_what_are_told_in_other_languages(names: tuple[str, str, str, str], label: str) -> None:
    who, what, when, where = names
    table = pa.table({
        where: RNG.choice(["a", "b", "c"], N), what: RNG.integers(0, 30, N), who: RNG.integers(0, 150, N),
        when: times(N, 120), label: LABEL,
    })  # fmt: skip
    found = roles_of(columns_of(table))
    assert (found.person, found.item, found.time, found.label) == (who, what, when, label)


def test_ids_in_other_scripts_are_no_quantities_and_people_are_personal(tmp_path: Path) -> None:
    table = {"用户编号": RNG.integers(0, 150, N), "商品编号": RNG.integers(0, 30, N), "价格": RNG.random(N),
             "曝光时间": times(N, 120), "是否点击": LABEL}  # fmt: skip
    design = made(tmp_path, table).design
    assert list(design.data.tables[0].personal) == ["person"]
    (categories,) = (one for one in design.features if isinstance(one, bt.Categories))
    assert {"person", "item"} <= set(categories.columns)
    (numbers,) = (one for one in design.features if isinstance(one, bt.Expression))
    assert not [name for name in numbers.values if name in ("person_number", "item_number")]


def test_who_is_not_found_is_asked_for(tmp_path: Path) -> None:
    lines: list[str] = []
    table = pa.table({"q": RNG.integers(0, 90, N), "x": RNG.random(N), "at": times(N, 120), "clicked": LABEL})
    propose("mine", written(tmp_path, table), None, lines.append)
    assert "no person or item: no column is called so; --person COLUMN --item COLUMN where one is" in lines
