"""How two towers learn, against naive formulas and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_tower_world import SMALL, groups, log_of, needs_torch

from bottega.design.retrievers import TwoTower
from bottega.models.two_tower.lesson import Lesson
from bottega.models.two_tower.rows_kernel import collect, hits, read, step
from bottega.models.two_tower.towers import Towers
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


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([0, 3, 500]))
@settings(max_examples=60, deadline=None)
def test_no_item_that_the_person_took_is_a_negative(many: int, seed: int, room: int) -> None:
    rng = np.random.default_rng(seed)
    own = [np.sort(rng.permutation(20)[: rng.integers(0, 20)]).astype(np.int32) for _ in range(4)]
    person, item = rng.integers(0, 4, many).astype(np.int32), rng.integers(0, 20, many).astype(np.int32)
    start = np.array([0, *np.cumsum([len(part) for part in own])])
    out, first = np.empty(room, np.int64), np.full(20, -1, np.int64)
    order, room_to_work = np.argsort(person, kind="stable"), np.empty((2, many), np.int64)
    count = hits(person, item, order, start, np.concatenate(own), first, *room_to_work, out)
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
    inputs = inputs_of(setting, log, log.newest("text").to_pylist(), 2000, None)
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
    inputs = inputs_of(setting, log, log.newest("text").to_pylist(), 2000, None)
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
