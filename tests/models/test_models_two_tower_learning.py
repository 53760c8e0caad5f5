"""How two towers learn, against naive formulas and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_tower_world import SMALL, groups, log_of, needs_torch

from bottega.design.retrievers import TwoTower
from bottega.models.two_tower.lesson import Lesson
from bottega.models.two_tower.rows_kernel import collect, hide, read, step
from bottega.models.two_tower.towers import SIDES, Towers
from bottega.models.two_tower.training import _fresh, _pool, inputs_of
from bottega.models.two_tower.two_tower import TwoTowerModel

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=30)


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


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_no_item_that_the_person_took_is_a_negative(rows: int, columns: int, items: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    own = [np.sort(rng.permutation(items)[: rng.integers(0, items + 1)]).astype(np.int32) for _ in range(4)]
    person, item = rng.integers(0, 4, rows).astype(np.int32), np.sort(rng.integers(0, items, columns)).astype(np.int32)
    start = np.array([0, *np.cumsum([len(part) for part in own])])
    first = rng.integers(0, 2 * columns, items).astype(np.int32)  # what a batch before has left there
    first[item[::-1]] = np.arange(columns)[::-1]
    logits = np.zeros((rows, columns), np.float32)
    hide(logits, person, item, start, np.concatenate(own), first)
    right = [[-np.inf if item[c] in own[person[r]] else 0 for c in range(columns)] for r in range(rows)]
    assert logits.tolist() == right


def test_of_a_person_who_took_almost_all_the_items_are_looked_up_instead() -> None:
    taken, item = np.arange(1, 600, dtype=np.int32), np.array([0, 7, 599], np.int32)
    logits = np.zeros((2, 3), np.float32)
    hide(logits, np.zeros(2, np.int32), item, np.array([0, 599]), taken, np.zeros(600, np.int32))
    assert logits.tolist() == [[0, -np.inf, -np.inf]] * 2


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
        rate = np.float32(0.01 * np.sqrt(1 - 0.999**steps) / (1 - 0.9**steps))
        touched, sums = np.empty(9, np.int64), np.empty((9, 4), np.float32)
        count = collect(flat, low, high, 8, own, slope, slot, touched, sums, 0, 0, 1)
        assert sorted(touched[:count].tolist()) == [1, 2, 4, 5, 7, 8]
        step(table, moments, slot, touched, sums, count, rate, *map(np.float32, (0.9, 0.999, 1e-8)))
        for row in (1, 2, 4, 5, 7, 8):
            first[row] = 0.9 * first[row] + 0.1 * pull[row]
            second[row] = 0.999 * second[row] + 0.001 * pull[row] ** 2
            wide[row] -= 0.01 * (first[row] / (1 - 0.9**steps)) / (np.sqrt(second[row] / (1 - 0.999**steps)) + 1e-8)
        np.testing.assert_allclose(table, wide, rtol=1e-4, atol=1e-5)
        assert (slot == -1).all()


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_parts_of_the_table_together_are_the_whole(parts: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    flat, rows = rng.integers(0, 100, 60), 100
    low = rng.integers(0, 60, 20)
    given = flat, low, np.minimum(low + rng.integers(0, 9, 20), 60), 99, rng.integers(-1, 100, 20)
    slope, found = rng.normal(size=(20, 6)).astype(np.float32), []
    whole, shared = np.full((2, rows), -1, np.int64)
    for part, many, slot in [(0, 1, whole), *((part, parts, shared) for part in range(parts))]:
        pull = np.zeros((rows, 3), np.float32)
        touched, sums = np.empty(rows, np.int64), np.empty((rows, 3), np.float32)
        count = collect(*given, slope, slot, touched, sums, 0, part, many)
        pull[touched[:count]] = sums[:count]
        found.append(pull)
    np.testing.assert_array_equal(sum(found[1:]), found[0])


@needs_torch
@pytest.mark.parametrize("hard", [0, 2])
def test_loss_and_slopes_are_those_of_the_formula(hard: int) -> None:
    import torch

    from bottega.models.two_tower.loss import softmax_slopes

    rng = torch.Generator().manual_seed(0)
    rows, width, temperature, place = 6, 5, 0.2, [2, 0, 1, 2, 3, 2]
    people, items, own = (torch.randn(*shape, generator=rng, dtype=torch.float64, requires_grad=True)
                          for shape in ((rows, width), (4, width), (rows, hard, width)))  # fmt: skip
    weight, often = torch.rand(rows, generator=rng).double(), torch.randn(4, generator=rng).double()
    own_often = torch.randn(rows, hard, generator=rng).double()
    if hard:
        own_often[2, 1] = torch.inf
    taken = [(0, 3), (4, 1), (4, 2), *enumerate(place)]
    loss = torch.zeros((), dtype=torch.float64)
    for i in range(rows):  # plainly, as it is written down: each row of the batch against every other
        terms = [people[i] @ items[place[j]] / temperature - often[place[j]]
                 for j in range(rows) if i == j or (i, place[j]) not in taken]  # fmt: skip
        terms += [people[i] @ own[i, j] / temperature - own_often[i, j] for j in range(hard)]
        right = people[i] @ items[place[i]] / temperature - often[place[i]]
        loss = loss + weight[i] * (torch.stack(terms).exp().sum().log() - right)
    wanted = torch.autograd.grad(loss, [people, items, own], materialize_grads=True)
    got, slopes = 0.0, [torch.zeros_like(part) for part in wanted]
    many, place_of = torch.tensor([1.0, 1, 3, 1]).double().log(), torch.tensor(place)[:, None]
    for here in (slice(0, 4), slice(4, 6)):

        def hidden(logits: torch.Tensor, first: int = here.start) -> None:
            for i, column in taken:
                if 0 <= i - first < len(logits):
                    logits[i - first, column] = -torch.inf

        with torch.no_grad():
            part = softmax_slopes(
                people[here], items, place_of[here], many, often, own[here], own_often[here], weight[here],
                temperature, hidden,
            )  # fmt: skip
        got += float(part.loss)
        slopes[0][here], slopes[2][here] = part.by_people, part.by_own
        slopes[1] += part.by_items
    assert got == pytest.approx(loss.item(), rel=1e-9)
    for one, other in zip(slopes, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@needs_torch
@pytest.mark.parametrize("layers", [[], [16], [16, 8]])
def test_the_towers_say_the_same_in_numpy_as_in_pytorch(layers: list[int]) -> None:
    from bottega.models.two_tower.trainer import Trainer

    log, _ = groups()
    setting = TwoTower(**{**SMALL, "layers": layers}, text="text", hard_negatives=2)
    inputs = inputs_of(setting, log, log.newest("text").to_pylist(), 2000, None)
    trainer = Trainer(setting, inputs, _fresh(setting, inputs.layout))
    for _ in range(2):
        trainer.learn(_pool(setting, trainer, inputs))
    towers, lesson = trainer.towers(), inputs.lesson
    rows = np.arange(0, len(lesson), 7)
    person, item = lesson.person[rows], lesson.item[rows]
    batch = trainer._batch(rows, np.zeros((120, 0), np.int32), False)
    assert batch.person.tolist() == person.tolist()
    found = [
        trainer._dense.passed(side, trainer._table.read(read, slice(None))).vectors.detach().numpy()
        for side, read in zip(SIDES, batch.reads, strict=True)
    ]
    people = towers.vectors("person", inputs.item_rows, lesson.low[rows], lesson.high[rows], inputs.person_rows[person])
    items = towers.items(1 + item.astype(np.int64), [log.newest("text").to_pylist()[code] for code in item])
    np.testing.assert_allclose(found[0], people, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1][batch.place[:, 0]], items, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(people, axis=1), 1, rtol=1e-5)


@needs_torch
def test_learning_goes_down_the_slope_of_the_whole_model() -> None:
    """The slope by the table, found by hand, is that of finite differences of the loss."""
    from bottega.models.two_tower.trainer import Trainer

    log, _ = groups(people=12, events=6)
    setting = TwoTower(**SMALL, text="text", hard_negatives=1)
    inputs = inputs_of(setting, log, log.newest("text").to_pylist(), 2000, None)
    begin = Towers.fresh(inputs.layout, 8, [16], 1)
    trainer = Trainer(setting, inputs, begin)
    pool = np.full((12, 1), 3, np.int32)
    rows = np.arange(20)
    before = trainer.loss(rows, pool)
    batch = trainer._batch(rows, pool, False)
    parts, slopes = batch.reads, trainer._slopes(batch, trainer._in_turn)[1]
    pull = np.zeros_like(begin.table)
    for part, slope in zip(parts, slopes, strict=True):
        touched, sums = np.empty(len(pull), np.int64), np.empty_like(pull)
        count = collect(*part, slope.numpy(), np.full(len(pull), -1, np.int64), touched, sums, 0, 0, 1)
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
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_side_by_side_find_the_same_slopes(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from bottega.models.networks.place import Place
    from bottega.models.two_tower.trainer import Trainer

    log, _ = groups()
    setting = TwoTower(**SMALL, text="text", hard_negatives=2)
    inputs, rows = inputs_of(setting, log, log.newest("text").to_pylist(), 2000, None), np.arange(0, 800, 17)
    pool, slopes, learnt = np.full((120, 1), 3, np.int32), [], []
    for many in (1, threads, threads):
        monkeypatch.setattr(Place, "of", lambda _, many=many: Place("cpu", "float32", many))
        trainer = Trainer(setting, inputs, _fresh(setting, inputs.layout))
        loss, by_inputs, by_weights = trainer._slopes(trainer._batch(rows, pool, False), trainer._in_turn)
        slopes.append([np.array(loss), *by_inputs, *by_weights.values()])
        trainer.learn(pool)
        learnt.append(trainer.towers().version())
    for one, other in zip(*slopes[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)
    assert learnt[1] == learnt[2]


@needs_torch
def test_hard_negatives_are_what_it_mistakes_and_nothing_taken() -> None:
    from bottega.models.two_tower.trainer import Trainer

    log, left = groups()
    setting = TwoTower(**SMALL, hard_negatives=3)
    inputs = inputs_of(setting, log, None, 2000, None)
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
