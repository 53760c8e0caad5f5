"""Two towers, against naive formulas, plain loops, and worlds whose structure is known."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.indexes import Index
from bottega.design.retrievers import Popularity, TwoTower
from bottega.errors import BuildError, DataError, DesignError
from bottega.models.interactions import Interactions
from bottega.models.popularity import PopularityModel
from bottega.models.retrieving import retrieved
from bottega.models.two_tower.lesson import Lesson
from bottega.models.two_tower.rows_kernel import collect, hits, read, step
from bottega.models.two_tower.towers import Layout, Towers
from bottega.models.two_tower.training import _fresh, _inputs, _pool
from bottega.models.two_tower.two_tower import TwoTowerModel
from bottega.testing.model_checks import RETRIEVER_CHECKS

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None, reason="not installed: torch (pip install 'bottega[deep]')"
)
DAY = 86_400_000_000
SMALL: dict[str, Any] = {"embedding_size": 8, "layers": [16], "batch": 64, "learning_rate": 0.01, "half_life": None}
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=30)


def log_of(rows: list[tuple[int, int, int]]) -> Interactions:
    return Interactions.of([f"p{row[0]}" for row in rows], [f"i{row[1]}" for row in rows], [row[2] for row in rows])


def groups(people: int = 120, items: int = 40, events: int = 20, seed: int = 0) -> tuple[Interactions, dict[str, Any]]:
    """People of four groups take items of their own group, never one twice; each item's text names its group."""
    rng = np.random.default_rng(seed)
    each = items // 4
    person, item, time = [], [], []
    left: dict[str, Any] = {}
    for p in range(people):
        own = rng.permutation(each)[: min(events, each - 3)] + (p % 4) * each
        left[f"p{p:03}"] = sorted(
            {f"i{i:03}" for i in range((p % 4) * each, (p % 4 + 1) * each)} - {f"i{i:03}" for i in own}
        )
        person += [f"p{p:03}"] * len(own)
        item += [f"i{i:03}" for i in own]
        time += (rng.permutation(1000)[: len(own)] + 1).tolist()
    colour = ["red", "green", "blue", "black"]
    texts = [f"{colour[int(name[1:]) // each]} thing" for name in item]
    return Interactions.of(person, item, time, {"text": texts}), left


@given(ROWS, st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_a_history_is_what_came_strictly_before(rows: list[tuple[int, int, int]], history: int) -> None:
    log = log_of(rows)
    lesson = Lesson.of(log, history)
    names = log.items.to_pylist()
    people = log.people.to_pylist()
    found = []
    for row in range(len(lesson)):
        past = [names[code] for code in lesson.item[lesson.low[row] : lesson.high[row]]]
        found.append((people[lesson.person[row]], names[lesson.item[row]], int(lesson.time[row]), past))
    right = []
    for who, what, when in sorted(rows):
        before = sorted((time, item) for person, item, time in rows if person == who and time < when)
        past = [f"i{item}" for _, item in before][len(before) - min(history, len(before)) :]
        right.append((f"p{who}", f"i{what}", when, past))
    assert sorted(found) == sorted(right)
    start, taken = lesson.taken()
    for p, who in enumerate(people):
        assert [names[code] for code in taken[start[p] : start[p + 1]]] == sorted(
            {f"i{i}" for q, i, _ in rows if f"p{q}" == who}
        )
    low, high = lesson.latest(history)
    assert (high - low).tolist() == [min(history, sum(f"p{q}" == who for q, _, _ in rows)) for who in people]


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([0, 3, 500]))
@settings(max_examples=60, deadline=None)
def test_no_item_that_the_person_took_is_a_negative(many: int, seed: int, room: int) -> None:
    rng = np.random.default_rng(seed)
    own = [np.sort(rng.permutation(20)[: rng.integers(0, 20)]).astype(np.int32) for _ in range(4)]
    person, item = rng.integers(0, 4, many).astype(np.int32), rng.integers(0, 20, many).astype(np.int32)
    start = np.array([0, *np.cumsum([len(part) for part in own])])
    out, first = np.empty(room, np.int64), np.full(20, -1, np.int64)
    count = hits(person, item, start, np.concatenate(own), first, np.empty(many, np.int64), out)
    right = [r * many + c for r in range(many) for c in range(many) if c != r and item[c] in own[person[r]]]
    assert count == len(right)
    assert (first == -1).all()
    if room >= count:
        assert sorted(out[:count].tolist()) == right


def test_the_table_is_stepped_as_adam_steps() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(9, 4)).astype(np.float32)
    moments = np.zeros((9, 8), np.float32)
    wide, first, second = table.astype(np.float64), np.zeros((9, 4)), np.zeros((9, 4))
    flat = np.array([1, 2, 2, 5, 7], np.int64)
    low, high, own = np.array([0, 3, 3]), np.array([3, 3, 5]), np.array([4, 4, -1])
    slot = np.full(9, -1, np.int64)
    for steps in range(1, 4):
        inputs = np.empty((3, 8), np.float32)
        read(table, flat, low, high, 8, own, inputs)
        right = [[*wide[[1, 2, 2]].mean(0), *wide[4]], [*wide[8], *wide[4]], [*wide[[5, 7]].mean(0), 0, 0, 0, 0]]
        np.testing.assert_allclose(inputs, right, rtol=1e-5, atol=1e-6)
        slope = rng.normal(size=(3, 8)).astype(np.float32)
        pull = np.zeros((9, 4))
        for i, rows in enumerate(([1, 2, 2], [8], [5, 7])):
            for row in rows:
                pull[row] += slope[i, :4] / len(rows)
            if own[i] >= 0:
                pull[own[i]] += slope[i, 4:]
        touched, sums = np.empty(9, np.int64), np.empty((9, 4), np.float32)
        count = collect(flat, low, high, 8, own, slope, slot, touched, sums, 0)
        assert sorted(touched[:count].tolist()) == [1, 2, 4, 5, 7, 8]
        rate = np.float32(0.01 * np.sqrt(1 - 0.999**steps) / (1 - 0.9**steps))
        step(table, moments, slot, touched, sums, count, rate, *map(np.float32, (0.9, 0.999, 1e-8)))
        for row in (1, 2, 4, 5, 7, 8):
            first[row] = 0.9 * first[row] + 0.1 * pull[row]
            second[row] = 0.999 * second[row] + 0.001 * pull[row] ** 2
            wide[row] -= 0.01 * (first[row] / (1 - 0.9**steps)) / (np.sqrt(second[row] / (1 - 0.999**steps)) + 1e-8)
        np.testing.assert_allclose(table, wide, rtol=1e-4, atol=1e-5)
        assert (slot == -1).all()


@needs_torch
@pytest.mark.parametrize("hard", [0, 2])
def test_loss_and_slopes_are_those_of_the_formula(hard: int) -> None:
    import torch

    from bottega.models.two_tower.loss import softmax_slopes

    rng = torch.Generator().manual_seed(0)
    many, width, temperature = 6, 5, 0.2
    people, items, own = (torch.randn(*shape, generator=rng, dtype=torch.float64, requires_grad=True)
                          for shape in ((many, width), (many, width), (many, hard, width)))  # fmt: skip
    weight, often = torch.rand(many, generator=rng).double(), torch.randn(many, generator=rng).double()
    own_often = torch.randn(many, hard, generator=rng).double()
    if hard:
        own_often[2, 1] = torch.inf
    masked = torch.tensor([0 * many + 3, 4 * many + 1, 4 * many + 2])
    loss = torch.zeros((), dtype=torch.float64)
    for i in range(many):  # plainly, as it is written down
        terms = [people[i] @ items[j] / temperature - often[j] for j in range(many) if i * many + j not in masked]
        terms += [people[i] @ own[i, j] / temperature - own_often[i, j] for j in range(hard)]
        right = people[i] @ items[i] / temperature - often[i]
        loss = loss + weight[i] * (torch.stack(terms).exp().sum().log() - right)
    wanted = torch.autograd.grad(loss, [people, items, own], materialize_grads=True)
    got, slopes = 0.0, [torch.zeros_like(part) for part in wanted]
    for first, last in ((0, 4), (4, 6)):
        here = masked[(masked >= first * many) & (masked < last * many)] - first * many
        with torch.no_grad():
            part, by_people, by_items, by_own = softmax_slopes(
                people[first:last], items, own[first:last], weight[first:last], often, here, own_often[first:last],
                temperature, first,
            )  # fmt: skip
        got += float(part)
        slopes[0][first:last], slopes[2][first:last] = by_people, by_own
        slopes[1] += by_items
    assert got == pytest.approx(loss.item(), rel=1e-9)
    for one, other in zip(slopes, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@needs_torch
@pytest.mark.parametrize("layers", [[], [16], [16, 8]])
def test_the_towers_say_the_same_in_numpy_as_in_pytorch(layers: list[int]) -> None:
    from bottega.models.two_tower.trainer import Trainer

    log, _ = groups()
    setting = TwoTower(**{**SMALL, "layers": layers}, text="text", hard_negatives=2)
    inputs = _inputs(setting, log, log.newest("text").to_pylist(), 2000, None)
    trainer = Trainer(setting, inputs, _fresh(setting, inputs.layout))
    for _ in range(2):
        trainer.learn(_pool(setting, trainer, inputs))
    towers, lesson = trainer.towers(), inputs.lesson
    rows = np.arange(0, len(lesson), 7)
    person, item = lesson.person[rows], lesson.item[rows]
    own = np.zeros((len(rows), 0), np.int32)
    vectors, *_ = trainer._forward(rows, person, item, own, False)
    people = towers.vectors("person", inputs.item_rows, lesson.low[rows], lesson.high[rows], inputs.person_rows[person])
    items = towers.items(1 + item.astype(np.int64), [log.newest("text").to_pylist()[code] for code in item])
    np.testing.assert_allclose(vectors.people.detach().numpy(), people, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(vectors.items.detach().numpy(), items, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(people, axis=1), 1, rtol=1e-5)


@needs_torch
def test_learning_goes_down_the_slope_of_the_whole_model() -> None:
    """The slope by the table, found by hand, is that of finite differences of the loss."""
    from bottega.models.two_tower.trainer import Trainer

    log, _ = groups(people=12, events=6)
    setting = TwoTower(**SMALL, text="text", hard_negatives=1)
    inputs = _inputs(setting, log, log.newest("text").to_pylist(), 2000, None)
    begin = Towers.fresh(inputs.layout, 8, [16], 1)
    trainer = Trainer(setting, inputs, begin)
    pool = np.full((12, 1), 3, np.int32)
    rows = np.arange(20)
    before = trainer.loss(rows, pool)
    person, item = inputs.lesson.person[rows], inputs.lesson.item[rows]
    own = pool[person]
    vectors, leaves, parts = trainer._forward(rows, person, item, own, False)
    _, by_people, by_items, by_hard = trainer._slopes(rows, person, item, own, vectors, map)
    import torch

    items = torch.cat([vectors.items, vectors.hard.flatten(0, 1)])
    slopes = torch.autograd.grad(
        [vectors.people, items], leaves, [by_people, torch.cat([by_items, by_hard.flatten(0, 1)])]
    )
    pull = np.zeros_like(begin.table)
    for part, slope in zip(parts, slopes, strict=True):
        touched, sums = np.empty(len(pull), np.int64), np.empty_like(pull)
        count = collect(*part, slope.numpy(), np.full(len(pull), -1, np.int64), touched, sums, 0)
        pull[touched[:count]] += sums[:count]
    used = np.unique(np.concatenate([parts[0].own, parts[1].own, parts[0].flat, parts[1].flat]))
    for row in used[:: max(1, len(used) // 9)]:
        direction = np.zeros_like(begin.table)
        direction[row] = 1e-2 * pull[row] / max(np.linalg.norm(pull[row]), 1e-9)
        ends = []
        for sign in (1, -1):
            moved = Trainer(
                setting, inputs, Towers(begin.layout, begin.table + np.float32(sign) * direction, begin.dense)
            )
            ends.append(moved.loss(rows, pool))
        assert ends[0] - ends[1] == pytest.approx(2 * float((direction * pull).sum()), rel=0.05, abs=2e-5)
    assert before > 0


@needs_torch
@pytest.mark.parametrize("check", RETRIEVER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "setting",
    [
        TwoTower(**SMALL, text="text", epochs=3),
        TwoTower(**{**SMALL, "layers": []}, epochs=3, hard_negatives=2, person_rows=7, logq=False),
        TwoTower(**SMALL, epochs=2, history=0, person_rows=0, stop_share=0.3),
    ],
    ids=["text", "hard", "nothing known"],
)
def test_the_contract(setting: Any, check: Any) -> None:
    if setting.person_rows == 0 and check.__name__ == "check_finds_what_comes":
        setting = TwoTower(**SMALL, epochs=8, history=0)  # without history and id all people are one
    check(lambda: TwoTowerModel(setting))


@needs_torch
def test_planted_groups_are_found() -> None:
    log, left = groups()
    model = TwoTowerModel(TwoTower(**SMALL, epochs=30, patience=30))
    model.fit(log, 2000)
    people = sorted(left)
    names = model.items.to_pylist()

    def recall(fitted: Any) -> float:
        rows = retrieved(fitted, people, 3, seen=False)[0]
        return float(
            np.mean(
                [
                    len({names[code] for code in row if code >= 0} & set(left[p])) / 3
                    for p, row in zip(people, rows, strict=True)
                ]
            )
        )

    popular = PopularityModel(Popularity(span=None))
    popular.fit(log, 2000)
    assert recall(model) > 0.9
    assert recall(popular) < 0.5
    stranger = model.ask("a stranger", {})
    assert len(stranger.best(500)) == len(names)
    assert (stranger.of(np.arange(len(names), dtype=np.int32)) > 0).all()
    assert stranger.of(np.array([-1], np.int32)).tolist() == [0]


@needs_torch
def test_somebody_new_is_answered_by_what_everybody_takes_first() -> None:
    rng = np.random.default_rng(0)
    rows = [(p, 0 if n == 0 else int(rng.integers(1, 20)), 10 * n) for p in range(200) for n in range(6)]
    rows += [(p, int(rng.integers(1, 20)), 5 + 10 * n) for p in range(200) for n in range(6)]
    log = Interactions.of([f"p{row[0]}" for row in rows], [f"i{row[1]:02}" for row in rows], [row[2] for row in rows])
    model = TwoTowerModel(TwoTower(**SMALL, epochs=15, patience=15, stop_share=0.01))
    model.fit(log, 2000)
    assert model.items[int(model.ask("", {}).best(1)[0])].as_py() == "i00"
    assert model.items[int(model.ask("p3", {}).best(1)[0])].as_py() != "i00"


@needs_torch
def test_the_correction_lets_popular_items_be_popular() -> None:
    rng = np.random.default_rng(0)
    fame = 1 / np.arange(1, 201)
    item = rng.choice(200, 8000, p=fame / fame.sum())  # nobody has a taste of their own
    person = rng.integers(0, 2000, 8000)
    log = Interactions.of([f"p{p:04}" for p in person], [f"i{i:03}" for i in item], rng.integers(0, 1000, 8000))
    often, ranks = np.log(np.bincount(item, minlength=200)[np.unique(item)]), {}
    for logq in (True, False):
        setting = TwoTower(**{**SMALL, "batch": 256}, epochs=8, logq=logq, person_rows=0, history=0, stop_share=0.005)
        model = TwoTowerModel(setting)
        model.fit(log, 2000)
        assert model.training["epochs"] == 8
        scores = model.ask("", {}).of(np.arange(len(often), dtype=np.int32))
        ranks[logq] = float(np.corrcoef(scores, often)[0, 1])
    assert ranks[True] > 0.9
    assert ranks[False] < ranks[True] - 0.3


@needs_torch
def test_items_that_nobody_took_are_found_by_their_text(tmp_path: Path) -> None:
    log, _ = groups()
    whole = log.with_catalogue(
        [*log.items.to_pylist(), "new-blue", "new-red"],
        {"text": [*log.newest("text").to_pylist(), "blue thing", "red thing"]},
    )
    model = TwoTowerModel(TwoTower(**SMALL, text="text", epochs=30, patience=30))
    model.fit(whole, 2000)
    assert len(model.items) == 42
    model.add_items(["a-green", "new-red", "zz-black"], ["green thing", "black thing", "black thing"])
    names = model.items.to_pylist()
    assert names == sorted([*whole.items.to_pylist(), "a-green", "zz-black"])

    def rank(person: str, name: str) -> int:
        return [names[code] for code in model.ask(person, {}).best(99)].index(name)

    for person, own in (("p000", "new-red"), ("p001", "a-green"), ("p002", "new-blue"), ("p003", "zz-black")):
        news = {name: rank(person, name) for name in ("new-red", "a-green", "new-blue", "zz-black")}
        assert min(news, key=lambda name: news[name]) == own
        assert news[own] < 20
    for p in range(0, 120, 17):  # what a person took keeps its name
        taken = {names[code] for code in model.history.of_person(f"p{p:03}")[0]}
        assert taken == {log.items[int(i)].as_py() for i in log.item[log.person == p]}
        left = model.ask(f"p{p:03}", {}).best(99, model.history.of_person(f"p{p:03}")[0])
        assert {names[code] for code in left} == set(names) - taken
    model.save(tmp_path / "model")
    again = TwoTowerModel.load(tmp_path / "model", model.setting)
    assert again.items.to_pylist() == names
    for person in ("p000", "p003", "nobody"):
        assert again.ask(person, {}).best(99).tolist() == model.ask(person, {}).best(99).tolist()
    model.add_items(["a-green"], ["red thing"])
    assert len(model.items) == len(names)


@needs_torch
def test_hard_negatives_are_what_it_mistakes_and_nothing_taken() -> None:
    from bottega.models.two_tower.trainer import Trainer

    log, left = groups()
    setting = TwoTower(**SMALL, hard_negatives=3)
    inputs = _inputs(setting, log, None, 2000, None)
    trainer = Trainer(setting, inputs, _fresh(setting, inputs.layout))
    start, taken = inputs.lesson.taken()
    names, counts = log.items.to_pylist(), inputs.lesson.counts(len(log.items))
    first = _pool(setting, trainer, inputs)
    for _ in range(25):
        trainer.learn(np.zeros((120, 0), np.int32))
    later, shares = _pool(setting, trainer, inputs), []
    for p, person in enumerate(log.people.to_pylist()):
        own = set(taken[start[p] : start[p + 1]].tolist())
        popular = [code for code in np.argsort(-counts, kind="stable").tolist() if code not in own]
        assert first[p][first[p] >= 0].tolist() == popular
        assert not own & set(later[p].tolist())
        shares.append(len({names[code] for code in later[p][:3]} & set(left[person])) / 3)
    assert np.mean(shares) > 0.9  # the rest of the group is nearest
    model = TwoTowerModel(setting)
    model.fit(log, 2000)
    assert np.isfinite(model.training["losses"]).all()


@needs_torch
def test_an_index_that_is_not_exact_says_what_it_finds() -> None:
    if find_spec("faiss") is None:
        pytest.skip("not installed: faiss (pip install 'bottega[vectors]')")
    log, _ = groups(people=60, items=4000, events=30)
    many = log.with_catalogue([f"i{i:04}" for i in range(4000)], {"text": ["thing"] * 4000})
    model = TwoTowerModel(TwoTower(**SMALL, epochs=1, index=Index(kind="ivf", recall=0.8)))
    model.fit(many, 2000)
    assert model.facts["index"]["queries"] == "given"
    assert len(model.ask("p001", {}).best(300)) == 300


@needs_torch
def test_what_is_served_needs_no_pytorch_and_one_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, _ = groups()
    model = TwoTowerModel(TwoTower(**SMALL, epochs=1))
    model.fit(log, 2000)
    other = TwoTowerModel(TwoTower(**SMALL, epochs=1, seed=5))
    other.fit(log, 2000)
    model.save(tmp_path / "one")
    other.save(tmp_path / "other")
    monkeypatch.setitem(sys.modules, "torch", None)
    read_back = TwoTowerModel.load(tmp_path / "one", model.setting)
    assert read_back.ask("p001", {}).best(5).tolist() == model.ask("p001", {}).best(5).tolist()
    assert read_back.facts["index"] == model.facts["index"]
    assert {**model.training, **read_back.training} == model.training
    with pytest.raises(BuildError, match="torch is not installed"):
        TwoTowerModel(TwoTower(**SMALL)).fit(log, 2000)
    for path in (tmp_path / "one" / "index").iterdir():
        path.unlink()
        (tmp_path / "other" / "index" / path.name).rename(path)
    with pytest.raises(BuildError, match="an index of version"):
        TwoTowerModel.load(tmp_path / "one", model.setting)
    table = np.load(tmp_path / "one" / "table.npy")
    np.save(tmp_path / "one" / "table.npy", table + 1)
    with pytest.raises(BuildError, match="towers of version"):
        TwoTowerModel.load(tmp_path / "one", model.setting)
    np.save(tmp_path / "one" / "table.npy", table[1:])
    with pytest.raises(BuildError, match="as the design says"):
        TwoTowerModel.load(tmp_path / "one", model.setting)


@needs_torch
def test_later_events_choose_the_passes_and_the_facts_say_so() -> None:
    log, _ = groups()
    model = TwoTowerModel(TwoTower(**SMALL, epochs=6, patience=2))
    model.fit(log, 2000)
    said = model.training
    tried = said["later_recall"]
    assert said["later_events"] == pytest.approx(len(log) / 10, abs=20)
    assert said["epochs"] == max(1, 1 + int(np.argmax(tried)))
    assert len(said["losses"]) == said["epochs"]
    few = TwoTowerModel(TwoTower(**SMALL, epochs=2))
    few.fit(log_of([(0, 0, 1), (1, 1, 2), (0, 1, 3)]), 9)
    assert few.training["epochs"] == 2
    assert "later_events" not in few.training


@pytest.mark.parametrize(
    ("people", "rows", "shared"), [(5, 100, False), (100, 100, False), (101, 100, True), (5, 0, False)]
)
def test_every_person_has_a_row(people: int, rows: int, shared: bool) -> None:
    layout = Layout.of(10, people, rows, 50)
    names = pa.array([f"p{i:03}" for i in range(people)])
    codes = np.arange(people, dtype=np.int32)
    found = layout.person_rows(names, codes)
    if rows == 0:
        assert (found == -1).all()
        return
    assert layout.shared == shared or rows == 0
    assert found.min() > layout.nobody
    assert found.max() < layout.rows - layout.words
    assert shared or len(np.unique(found)) == people
    assert layout.person_rows(names[:1], codes[:1] * 0 - 1).tolist() == [layout.nobody]
    start, flat = layout.word_rows(["red cup", None, "cup"])
    assert start.tolist() == [0, 2, 2, 3]
    assert flat[1] == flat[2] >= layout.rows - layout.words


@pytest.mark.parametrize(
    ("field", "value"),
    [("embedding_size", 1), ("history", -1), ("layers", [0]), ("epochs", 0), ("batch", 1), ("temperature", 0.0),
     ("learning_rate", 0.0), ("hard_negatives", -1), ("stop_share", 0.9), ("half_life", "soon"), ("word_rows", 0)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(field: str, value: Any) -> None:
    with pytest.raises(DesignError, match=rf"TwoTower\.{field}"):
        TwoTower(**{field: value})


def test_a_log_without_a_past_is_refused() -> None:
    with pytest.raises(DataError, match="no rows before"):
        TwoTowerModel(TwoTower()).fit(log_of([(0, 0, 5)]), 5)
