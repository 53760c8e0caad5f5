"""What no verb can do anything with is refused at once, in four parts, from Python as from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_shop import Said, changed

import bottega as bt
from bottega.data.labels import label_columns
from bottega.data.source import Place
from bottega.errors import BuildError, DataError, DesignError, ServeError
from bottega.runs.progress import Silent
from bottega.runs.runner import Runner
from bottega.runs.steps.job import Job
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.workspace import Workspace
from bottega.systems.ad_auction import design as auction
from bottega.systems.shop_recommendation import design as shop

Typed = Callable[..., Said]


@pytest.mark.parametrize("found", [None, 7, "", b"ad-auction"], ids=repr)
def test_what_is_no_design_is_refused_by_every_verb_that_takes_one(found: Any) -> None:
    for verb in (bt.run, bt.release, bt.rollback, bt.report, lambda design: bt.explain(design, "r1")):
        with pytest.raises(DesignError) as caught:
            verb(found)
        assert caught.value.where == "design"
        assert repr(found) in str(caught.value)
        assert "bt.Design" in caught.value.allowed


@pytest.mark.parametrize("found", [None, 7, ["r1"]], ids=repr)
def test_what_is_no_request_is_refused(found: Any, tmp_path: Path) -> None:
    with pytest.raises(ServeError) as caught:
        bt.explain(auction, found, workspace=tmp_path)
    assert caught.value.where == "request"
    assert repr(found) in str(caught.value)


def test_the_hint_of_explain_is_a_request_of_the_design(tmp_path: Path) -> None:
    for design, words in ((auction, '"candidates": ["…"]}'), (shop, '{"customer": "…"}')):
        with pytest.raises(ServeError) as caught:
            bt.explain(design, "r1", workspace=tmp_path)
        assert caught.value.fix.startswith(f"bottega explain {design.name} ")
        assert words in caught.value.fix
        assert all(f'"{name}": "…"' in caught.value.fix for name in design.data.examples.request)  # type: ignore[union-attr]


def test_names_of_models_in_one_text_are_refused_with_the_list_to_type(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="models") as caught:
        bt.run(auction, models="Logistic, Nope", workspace=tmp_path)
    assert caught.value.fix == "models=['Logistic', 'Nope']"
    with pytest.raises(BuildError, match="a list of names"):
        bt.run(auction, models=[7], workspace=tmp_path)  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("typed", ["", " , ,"])
def test_models_without_a_name_are_refused(typed: str, bottega: Typed, tmp_path: Path) -> None:
    said = bottega("run", auction.name, "--models", typed, "--workspace", tmp_path / "w")
    assert said.code == 2
    assert f"error: --models: {typed!r}" in said.err
    assert not (tmp_path / "w").exists()


def test_a_label_of_0_and_2_is_refused_before_anything_is_learnt(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        bt.run(stars(tmp_path, 2), data=tmp_path, workspace=tmp_path / "w")
    assert caught.value.where == "data.labels[0]"
    assert "'stars' is 2 in 140 examples" in str(caught.value)
    assert "0 and 1" in caught.value.allowed
    assert "0 or 1 in the table" in caught.value.fix
    assert not list((tmp_path / "w").rglob("train*"))


def test_rows_with_an_infinite_label_are_put_aside_by_name(tmp_path: Path) -> None:
    design = stars(tmp_path, 1)
    with (tmp_path / "shown.csv").open("a") as file:
        file.write("\n2024-01-28T09,u1,a1,inf\n2024-01-28T10,u1,a1,\n")
    with Runner(Workspace(tmp_path / "w", "stars"), Silent()) as runner:
        counts = ingest_tables(Job(design, Place(tmp_path), runner, 0))["shown"]
    assert (counts["accepted"], counts["reasons"]) == (421, {"stars: infinite": 1})
    assert label_columns(design, "shown") == {"stars": None}
    assert label_columns(design, "another") == label_columns(shop, "orders") == {}


def stars(folder: Path, most: int) -> bt.Design:
    """Write a log of 420 rows whose label is 0 or the most, a third of them, and give its design."""
    rows = [
        f"2024-01-{day:02d}T0{place},u{place},a{n},{most * ((day + place + n) % 3 == 0)}"
        for day in range(1, 29) for place in range(5) for n in range(3)
    ]  # fmt: skip
    (folder / "shown.csv").write_text("\n".join(["shown_at,user,ad,stars", *rows]))
    return bt.Design(
        name="stars",
        scope=bt.Scope(question="?"),
        data=bt.Data(
            [bt.Table("shown", "shown.csv", time="shown_at")],
            bt.Logged("shown", request=["user"], candidate="ad"),
            [bt.Label("stars")],
            bt.TimeSplit("5d"),
        ),
        features=[bt.Window("shown", by="ad", over=["7d"], values={"shows": "count(*)"})],
        models={"rank": [bt.HistoricalRate(by="ad")]},
        evaluation=bt.Evaluation("log_loss"),
        serving=bt.Serving([bt.Candidates(), bt.Rank(), bt.Show()]),
    )


def test_vectors_that_no_source_has_are_refused_before_any_work(tmp_path: Path) -> None:
    path = [*shop.serving.path[:2], bt.Diversify(vectors=True), bt.Show(k=20)]
    models = {**shop.models, "retrieve": [bt.Popularity(), bt.CoPurchase()]}
    goals = changed(shop.evaluation, goals=[])
    found = changed(shop, models=models, evaluation=goals, serving=changed(shop.serving, path=path))
    with pytest.raises(BuildError, match="no source with vectors of items"):
        bt.run(found, workspace=tmp_path)
    assert not list(tmp_path.iterdir())
