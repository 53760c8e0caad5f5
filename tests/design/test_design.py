"""Designs load, round-trip, freeze, and refuse with four parts."""

from __future__ import annotations

import inspect
from pathlib import Path

import msgspec
import pytest
from misfits import auction, fraud, visual_search

import bottega as bt
from bottega.design import data, design, evaluation, features, models, monitoring, part, scope, scorers, serving, tables
from bottega.design.writing import field_docs
from bottega.errors import DesignError
from bottega.systems.shop_recommendation import design as shop

DESIGNS = [fraud, visual_search, auction, shop]
MODULES = [scope, tables, data, features, models, scorers, evaluation, serving, monitoring, design]


def parts() -> list[type[part.Part]]:
    return [
        item
        for module in MODULES
        for item in vars(module).values()
        if inspect.isclass(item) and issubclass(item, part.Part) and item.__module__ == module.__name__
    ]


@pytest.mark.parametrize("value", DESIGNS, ids=lambda value: value.name)
@pytest.mark.parametrize("suffix", [".py", ".yaml", ".json"])
def test_a_design_round_trips_through_files(value: bt.Design, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"design{suffix}"
    writers = {".py": bt.to_python, ".yaml": bt.to_yaml, ".json": lambda item: bt.to_json(item).decode()}
    path.write_text(writers[suffix](value), encoding="utf-8")
    assert bt.load_design(path) == value


@pytest.mark.parametrize("kind", parts(), ids=lambda kind: kind.__name__)
def test_every_field_says_what_it_is(kind: type[part.Part]) -> None:
    assert inspect.getdoc(kind)
    docs = field_docs(kind)
    assert set(docs) == set(kind.__struct_fields__)
    assert all(text.endswith((".", "…")) for text in docs.values())


@pytest.mark.parametrize("kind", parts(), ids=lambda kind: kind.__name__)
def test_every_part_is_frozen_and_has_a_public_name(kind: type[part.Part]) -> None:
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.forbid_unknown_fields
    assert kind.__name__.startswith("_") or getattr(bt, kind.__name__) is kind


def test_lists_become_tuples_so_that_a_design_cannot_be_changed_later() -> None:
    split = bt.Goal("ndcg@20", within=[0, 1])
    assert split.within == (0, 1)
    with pytest.raises(AttributeError, match="immutable"):
        fraud.name = "other"  # type: ignore[misc]


def test_the_schema_accepts_what_loads_and_describes_every_field() -> None:
    schema = bt.schema()
    assert schema["$ref"] == "#/$defs/Design"
    for name, entry in schema["$defs"].items():
        assert entry["description"], name
        for field, rule in entry["properties"].items():
            assert field == "kind" or rule["description"], (name, field)


@pytest.mark.parametrize(
    ("old", "new", "where", "fix"),
    [
        ("matures_after: 1h", "matures_afer: 1h", "data.labels[0].matures_afer", "did you mean 'matures_after'?"),
        ("slots: 4", "slot: 4", "serving.path[2].slot", "did you mean 'slots'?"),
        ("- kind: Logistic", "- kind: Logistic\n    fold: 3", "models.rank[1].fold", ""),
        ("table: ads", "table: adz", "features[1].table", "did you mean 'ads'?"),
        ("slots: 4", "slots: 0", "serving.path[2].slots", ""),
        ("reserve: 0.05", "reserve: cheap", "serving.path[2].reserve", ""),
        ("reserve: 0.05", "reserve: 5e-2", "serving.path[2].reserve", "5.0e-2: YAML reads 5e-2 as text"),
        ("ladder: rank", "ladder: rnak", "serving.path[1].ladder", "did you mean 'rank'?"),
        ("below: HistoricalRate", "below: HistoricRate", "evaluation.goals[0].below", "did you mean 'HistoricalRate'?"),
        ("matures_after: 1h", "matures_after: 1 month", "data.labels[0].matures_after", "for example '30d'"),
    ],
)
def test_a_slip_in_yaml_is_named_with_its_place(old: str, new: str, where: str, fix: str, tmp_path: Path) -> None:
    text = bt.to_yaml(auction).replace("kind: Rank\n", "kind: Rank\n    ladder: rank\n")
    text = text.replace("kind: Auction\n", "kind: Auction\n    slots: 4\n")
    assert old in text
    path = tmp_path / "slip.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DesignError) as caught:
        bt.load_design(path)
    assert caught.value.where == f"{path}: {where}"
    assert caught.value.fix == fix
    assert caught.value.allowed


def test_a_slip_in_python_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "slip.py"
    path.write_text("import bottega as bt\n\nspan = bt.Popularity(\n    span='30 days')\n")
    with pytest.raises(DesignError, match=r"slip\.py:3: Popularity\.span: '30 days'"):
        bt.load_design(path)
    path.write_text("import bottega as bt\nbt.Popularty()\n")
    with pytest.raises(DesignError, match="did you mean 'Popularity'"):
        bt.load_design(path)
    path.write_text("import bottega as bt\ndesign = 3\n")
    with pytest.raises(DesignError, match=r"a bt\.Design"):
        bt.load_design(path)


@pytest.mark.parametrize(
    ("text", "where", "allowed", "fix"),
    [
        ("bt.Popularity(spam='30d')", "Popularity.spam", "span, k, unseen, name", "did you mean 'span'?"),
        ("bt.DCN(layer=[64])", "DCN.layer", ", ".join(bt.DCN.__struct_fields__), "did you mean 'layers'?"),
        ("bt.Quantize(span='1d')", "Quantize.span", ", ".join(bt.Quantize.__struct_fields__), ""),  # others have one
        ("bt.View(where='a > 0')", "View.name", "a value: it has no default", "name=…"),
        ("bt.View('a', 'b', 'c')", "View", "at most 2: name, where", ""),
    ],
)
def test_arguments_that_do_not_fit_are_told_by_their_part(
    text: str, where: str, allowed: str, fix: str, tmp_path: Path
) -> None:
    path = tmp_path / "slip.py"
    path.write_text(f"import bottega as bt\n\npart = {text}\n")
    with pytest.raises(DesignError) as caught:
        bt.load_design(path)
    assert caught.value.where == f"{path}:3: {where}"
    assert (caught.value.allowed, caught.value.fix) == (allowed, fix)


def test_a_file_of_json_is_read_as_json(tmp_path: Path) -> None:
    path = tmp_path / "design.json"
    text = bt.to_json(visual_search).decode().replace('"tolerance": 0.01', '"tolerance": 1e-5')  # to YAML that is text
    path.write_text(text)
    assert bt.load_design(path).serving.compress[0].tolerance == 1e-5
    path.write_text('{\n "name": "shop",\n "scope": ,\n}')
    with pytest.raises(DesignError, match=r"design\.json: Expecting value: line 3 column 11"):
        bt.load_design(path)


def test_types_are_held_in_python_files_too(tmp_path: Path) -> None:
    path = tmp_path / "typed.py"
    path.write_text(bt.to_python(fraud).replace("daily_users=300000", "daily_users='many'"))
    with pytest.raises(DesignError, match="daily_users"):
        bt.load_design(path)


@pytest.mark.parametrize("text", ["", "3", "- a\n- b\n", "name: x\n  y: z", "{", "name: only"])
def test_a_file_that_is_no_design_is_one_clear_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(DesignError):
        bt.load_design(path)


def test_a_missing_file_guesses_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text("")
    with pytest.raises(DesignError, match=r"did you mean 'shop\.yaml'"):
        bt.load_design(tmp_path / "shp.yaml")


def test_the_hash_of_equal_designs_is_equal() -> None:
    copy = msgspec.convert(msgspec.to_builtins(shop), bt.Design)
    assert bt.to_json(copy) == bt.to_json(shop)


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("bt.Scope(question=5)", "Scope.question", "5"),
        ("bt.Popularity(k='many')", "Popularity.k", "'many'"),
        ("bt.Window('t', 'a', values=3)", "Window.values", "3"),
        ("bt.Goal('mrr', within=3)", "Goal.within", "3"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_field(text: str, where: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "typed.py"
    path.write_text(f"import bottega as bt\ndesign = {text}\n")
    with pytest.raises(DesignError) as caught:
        bt.load_design(path)
    assert caught.value.where == f"{path}:2: {where}"
    assert caught.value.found == found
    assert caught.value.allowed


def test_a_part_in_the_wrong_place_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "place.py"
    path.write_text(bt.to_python(fraud).replace("limits=bt.Limits(", "limits=bt.Retrieve(k=3) or bt.Limits("))
    with pytest.raises(DesignError, match="another part stands where this one belongs"):
        bt.load_design(path)
