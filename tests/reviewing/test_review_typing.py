"""What a fix says is typed into the bad design: its finding goes, and nothing comes that stops a run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from review_tables import write

import bottega as bt
from bottega.design.design import Design
from bottega.design.reading import load
from bottega.reviewing.finding import Claim, Finding
from bottega.reviewing.fixes import in_language
from bottega.reviewing.judging import Review, judge
from bottega.reviewing.looking import DAY
from bottega.reviewing.rules import RULES, find_rule
from bottega.reviewing.seen import LabelSeen, Seen, TableSeen
from bottega.verbs.review import review

DESIGNS = Path(__file__).parent / "designs"
SHORT = bt.TimeSplit(test="3d", validate="3d")
FIELD = re.compile(r'"(\w+)": ')


@pytest.fixture(autouse=True)
def _beside_the_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DESIGNS)


def typed(design: Design, finding: Finding | Claim) -> Design | None:
    """Change the field that a fix names, where it stands or in the part of the design that has it; nothing of words."""
    fix = in_language(finding.fix, ".json")
    field = FIELD.match(fix)
    if field is None or "…" in finding.fix:
        return None
    value, _ = json.JSONDecoder().raw_decode(fix, field.end())
    names = [int(name) if name.isdigit() else name for name in re.findall(r"\w+", finding.place)]
    parts = [[name] for name in Design.__struct_fields__]
    for path in [*(names[:end] for end in range(len(names), -1, -1)), *parts]:
        part, plain = design, msgspec.to_builtins(design)
        holder: Any = plain
        for name in path:
            part = part[name] if isinstance(part, (tuple, list, Mapping)) else getattr(part, name, None)
            holder = holder[name] if isinstance(name, int) else holder.setdefault(name, {})
        if field[1] in getattr(part, "__struct_fields__", ()):
            holder[field[1]] = value
            return msgspec.convert(plain, Design)
    raise AssertionError(f"no part of the design has the field of {finding.fix}")


def mended(design: Design, found: Review, code: str, again: Callable[[Design], Review]) -> Design | None:
    """Type the fix of each finding of a rule, the first first; one that comes again is not typed twice."""
    ours = [one for one in found.open if one.code == code]
    stops = {one.code for one in found.stopping}
    for _ in range(len(ours)):
        changed = typed(design, ours[0])
        if changed is None:
            return None
        design, found = changed, again(changed)
        ours = [one for one in found.open if one.code == code]
        if not ours:
            break
    assert ours == []
    assert {one.code for one in found.stopping} <= stops
    return design


def test_the_fix_of_a_rule_mends_its_bad_design() -> None:
    done = []
    for rule in RULES:
        if not rule.needs_data:
            design = load(f"{rule.code}.py")
            if mended(design, judge(design), rule.code, judge) is not None:
                done.append(rule.code)
    assert len(done) > 25


@pytest.mark.parametrize("code", ["R311", "R604"])
def test_so_does_that_of_a_rule_by_data(code: str, tmp_path: Path) -> None:
    def looked(design: Design) -> Review:
        return review(design, data=tmp_path, workspace=tmp_path / "workspace")

    write(tmp_path, code)
    design = load(f"{code}.py")
    assert mended(design, looked(design), code, looked) is not None


@pytest.mark.parametrize("path", sorted(DESIGNS.glob("R*.txt")), ids=lambda path: path.stem)
def test_nothing_is_left_to_guess_in_what_is_typed(path: Path) -> None:
    told = " ".join(path.read_text("utf-8").split())
    fixes = re.findall(r"(Use|Fix) (.+?)(?: bottega rule R| R\d+\.py:\d| \d+ findings?,)", told)
    assert fixes
    for word, fix in fixes:
        assert "…" not in fix
        assert word == "Fix" or not re.search(r" before (it|bt\.)", fix)


@pytest.mark.parametrize("daily", [50, 400, 2_000, 20_000, 3_000_000])
@pytest.mark.parametrize("rate", [None, 0.002, 0.1, 0.6])
@pytest.mark.parametrize("unit", [None, "request", "device"])
def test_an_experiment_that_is_proposed_finds_its_effect(daily: int, rate: float | None, unit: str | None) -> None:
    ads = load("R511_near.py") if unit is None else load("R301_near.py")
    scope = replace(ads.scope, traffic=bt.Traffic(daily_users=daily, requests_per_user=3))
    bare = replace(ads, scope=scope, evaluation=replace(ads.evaluation, experiment=None, unit=unit))
    name = ads.data.labels[0].name
    seen = Seen({}) if rate is None else Seen({}, labels={name: LabelSeen(10_000, round(10_000 * rate))})
    (found,) = [one for one in judge(bare, seen).open if one.code == "R511"]
    good = typed(bare, found)
    assert good is not None
    assert [one.code for one in judge(good, seen).open if one.code in ("R511", "R512")] == []
    variance = (1 - rate) / rate if rate is not None else 1.0
    asked = daily * (3 if unit == "request" else 1) * 28
    least = math.sqrt(2 * 2 * (1.959964 + 0.841621) ** 2 * variance / asked)  # both arms; level 0.95, power 0.8
    planned = good.evaluation.experiment
    if planned is None:
        assert least > 0.49  # rounded up to two figures
    else:
        assert planned.unit == (unit or "customer")
        assert max(0.02, least) <= planned.minimum_effect <= min(0.5, max(0.02, 1.11 * least))


@pytest.mark.parametrize(
    ("effect", "daily", "fix"),
    [
        (0.02, 60_000, ""),
        (0.02, 2_000, "minimum_effect=0.024, which four weeks can find"),
        (0.02, 4, "more traffic, or a quantity that varies less: four weeks find no effect below 53%"),
        (1.2, 4, "more traffic, or a quantity that varies less: four weeks find no effect below 53%"),
        (2.77, 2_000, "minimum_effect=0.024"),
        (0.5, 2_000, ""),
    ],
)
def test_an_effect_that_nothing_brings_is_no_way_out(effect: float, daily: int, fix: str) -> None:
    shop = load("R511_near.py")
    planned = bt.Experiment("sales", unit="customer", minimum_effect=effect)
    scope = replace(shop.scope, traffic=bt.Traffic(daily_users=daily))
    design = replace(shop, scope=scope, evaluation=replace(shop.evaluation, experiment=planned))
    assert [claim.fix for claim in find_rule("R512").run(design, None)] == [fix] * bool(fix)


def test_more_places_than_candidates_are_one_fault() -> None:
    base = load("R603.py")
    path = [bt.Retrieve(k=10), bt.Rank(), bt.Show(k=20)]
    design = replace(base, serving=replace(base.serving, path=path))
    for catalogue, codes in ((15, ["R604"]), (20, ["R604"]), (21, ["R603"]), (5_000, ["R603"])):
        found = judge(design, Seen({}, catalogue=catalogue)).open
        assert [one.code for one in found if one.code in ("R603", "R604")] == codes


def of_days(days: int, table: str) -> Seen:
    """What is seen of a log that begins at a midnight."""
    return Seen({table: TableSeen(1000, begin=0, end=days * DAY - 1)})


@pytest.mark.parametrize("catalogue", [None, 2, 5, 21, 60, 198, 5_000])
@pytest.mark.parametrize("brought", [False, True])
def test_how_wide_and_how_many_places_agree(catalogue: int | None, brought: bool) -> None:
    base = load("R301_near.py" if brought else "R603.py")
    sources = {} if brought else {"retrieve": [bt.Popularity(span="7d", k=10), bt.CoPurchase(k=5)]}
    seen = None if catalogue is None else Seen({}, catalogue=catalogue)
    rules = [find_rule("R603"), find_rule("R604")]
    for shown, kept in product([1, 20, 60, 500], [1, 20, 500]):
        first = bt.Candidates(at_most=kept) if brought else bt.Retrieve(k=kept)
        serving = replace(base.serving, path=[first, bt.Rank(), bt.Show(k=shown)])
        design = replace(base, serving=serving, models={**base.models, **sources})
        changes = 0
        while claims := [claim for rule in rules for claim in rule.run(design, seen)]:
            changed = typed(design, claims[0])
            assert changed is not None
            assert changed != design
            design, changes = changed, changes + 1
            assert changes <= 3  # the places, what the stage keeps, what the sources find
        if catalogue is not None and not brought:
            assert design.serving.path[-1].k <= design.serving.path[0].k < catalogue


@pytest.mark.parametrize("days", [20, 40, 60, 90, 400])
@pytest.mark.parametrize("late", ["3d", "10d"])
def test_a_longer_test_is_one_that_the_log_bears(days: int, late: str) -> None:
    ads = load("R204.py")
    design = replace(ads, data=replace(ads.data, labels=[bt.Label("clicked", matures_after=late)], split=SHORT))
    (claim,) = find_rule("R204").run(design, of_days(days, "shown"))
    changed = typed(design, claim)
    if changed is None:
        assert "sooner final" in claim.fix
        assert days < 40
        return
    for code in ("R204", "R219"):
        assert list(find_rule(code).run(changed, of_days(days, "shown"))) == []


@pytest.mark.parametrize(("days", "longer"), [(60, False), (105, False), (240, True)])
def test_models_serve_as_long_as_a_test_that_the_log_bears(days: int, longer: bool) -> None:
    ads = load("R703.py")
    design = replace(ads, monitoring=replace(ads.monitoring, retrain=bt.Retrain(every="90d")))
    (claim,) = find_rule("R703").run(design, of_days(days, "shown"))
    assert claim.fix == 'every="7d"' + ', or test="90d"' * longer


@pytest.mark.parametrize(
    ("days", "over", "fix"),
    [
        (28, ["7d", "90d", "all"], 'over=["7d", "10d", "all"]'),
        (28, ["10d", "90d"], 'over=["10d"]'),
        (14, ["7d"], ""),  # nothing is left to learn from, and the split is what has to change
    ],
)
def test_windows_that_fit_stay(days: int, over: list[str], fix: str) -> None:
    ads = load("R311.py")
    design = replace(ads, features=[bt.Window("shown", by="ad", over=over, values={"n": "count(*)"})])
    seen = of_days(days, "shown")
    assert [claim.fix for claim in find_rule("R311").run(design, seen)] == [fix] * bool(fix)


def test_a_window_over_a_table_that_is_too_young_has_no_length_that_helps() -> None:
    ads = load("R311.py")
    orders = bt.Table("orders", "orders.parquet", time="at")
    window = bt.Window("orders", by="ad", over=["1d"], values={"n": "count(*)"})
    design = replace(ads, data=replace(ads.data, tables=[*ads.data.tables, orders]), features=[window])
    tables = {"shown": TableSeen(9, begin=0, end=40 * DAY), "orders": TableSeen(9, begin=33 * DAY, end=40 * DAY)}
    (claim,) = find_rule("R311").run(design, Seen(tables))
    assert claim.fix == "leave it out, or a longer log"


def test_a_page_larger_than_all_that_a_log_has_is_found(tmp_path: Path) -> None:
    ads = load("R301_near.py")
    path = [bt.Candidates(), bt.Rank(budget_ms=10), bt.Show(k=60)]
    found = review(replace(ads, serving=replace(ads.serving, path=path)), data=write(tmp_path), workspace=tmp_path)
    (finding,) = [one for one in found.open if one.code == "R604"]
    assert (finding.place, finding.fix) == ("serving.path[2].k", "k=20")
    assert finding.found == "60 places are shown, and the catalogue has 40 candidates."
