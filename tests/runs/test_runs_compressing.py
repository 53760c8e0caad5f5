"""The step that compresses champions: a small log, whose champion is a network, compressed well and badly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bottega as bt
from bottega.data.source import Place
from bottega.design.serving import Compression
from bottega.evaluation.outcome import Outcome, Rung
from bottega.files import read_json
from bottega.metrics.binary import log_loss
from bottega.models.compression.compressed import CompressedModel, load_any
from bottega.models.networks.network import NetworkModel
from bottega.models.probability import Corrected, Probability
from bottega.runs.progress import Silent
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.steps.compressing import COMPRESSION, SERVED, Side, compress, compressed, judge_compression
from bottega.runs.steps.examples import make_examples, read_examples
from bottega.runs.steps.features import compute_features
from bottega.runs.steps.job import Job
from bottega.runs.steps.judging import evaluate_ladders
from bottega.runs.steps.ladders import ladders
from bottega.runs.steps.lessons import CHOICE, FINAL, FITS, lesson_of, make_lessons
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.steps.tabling import model_table
from bottega.runs.steps.training import Trained, train
from bottega.runs.workspace import Workspace

pytest.importorskip("torch", reason="the extra `deep` is not installed")

DAYS, A_DAY, QUERIES, ADS = 12, 1500, 30, 20
NET = bt.DCN(embedding_size=8, layers=(32, 16), cross_layers=1, rank=4, epochs=25, patience=3, batch=256)
STUDENT = bt.DCN(embedding_size=8, layers=(16,), cross_layers=0, epochs=12, patience=2, batch=256)
WELL: list[Compression] = [bt.Quantize(tolerance=0.01, calibration=0.1)]
WELL += [bt.Quantize(mode="static", tolerance=0.01, calibration=0.1)]
WELL += [bt.Prune(embeddings=0.1, tolerance=0.02, calibration=0.1)]
WELL += [bt.Distill(STUDENT, tolerance=0.3, calibration=0.5)]
BADLY: list[Compression] = [
    bt.Prune(embeddings=0.99, layers=0.99, calibration=9),
    bt.Prune(embeddings=0.99, layers=0.9, tolerance=9, calibration=0),
    bt.Prune(embeddings=0.9, tolerance=0, calibration=9),
]


def write_log(folder: Path) -> None:
    """Write impressions whose clicks hang on the query, the ad and the pair of them."""
    rng = np.random.default_rng(4)
    rows = DAYS * A_DAY
    user, query, ad = (rng.integers(size, size=rows) for size in (400, QUERIES, ADS))
    effects = np.random.default_rng(5)
    effect = effects.normal(0, 0.8, (QUERIES, ADS))[query, ad]
    effect += effects.normal(0, 1, QUERIES)[query] + effects.normal(0, 1, ADS)[ad]
    clicked = rng.random(rows) < 1 / (1 + np.exp(1 - effect))
    time = np.datetime64("2026-01-01") + np.sort(rng.integers(DAYS * 86_400, size=rows)).astype("timedelta64[s]")
    columns: dict[str, Any] = {"shown_at": time.astype("datetime64[us]"), "clicked": clicked.astype(np.int8)}
    for name, codes in (("user", user), ("query", query), ("ad", ad)):
        columns[name] = np.char.add(name[0], codes.astype(str))
    pq.write_table(pa.table(columns), folder / "impressions.parquet")


def design(models: Sequence[Any], compress: Sequence[Compression]) -> bt.Design:
    return bt.Design(
        name="clicks",
        scope=bt.Scope(
            question="Which ads?",
            decision="The likeliest first.",
            objective=bt.Objective("clicks", "up"),
            traffic=bt.Traffic(daily_users=1000, candidates=50),
        ),
        data=bt.Data(
            tables=[bt.Table("impressions", "impressions.parquet", time="shown_at")],
            examples=bt.Logged("impressions", request=["user", "query"], candidate="ad"),
            labels=[bt.Label("clicked")],
            split=bt.TimeSplit(validate="2d", test="2d"),
            sampling=bt.Downsample(keep_negatives=0.5),
        ),
        features=[bt.Expression({"hour": "extract(hour from request_time)"}), bt.Categories(["query", "ad"])],
        models={"rank": models},
        evaluation=bt.Evaluation(primary="log_loss", metrics=["roc_auc"]),
        serving=bt.Serving(path=[bt.Candidates(), bt.Rank(), bt.Show(k=4)], compress=compress),
    )


@dataclass
class Steps:
    """What the steps before left, to compress from again and again."""

    folder: Path
    job: Job
    examples: Result
    lessons: Result
    features: dict[str, list[Result]]
    trained: Trained
    judged: Result

    def compress(self, asked: Sequence[Compression]) -> Result | None:
        """Run the step alone, with other compressions."""
        made = design(self.job.design.models["rank"], asked)
        with Runner(self.job.runner.workspace, Silent()) as runner:
            job = Job(made, self.job.place, runner)
            job.ingested.update(self.job.ingested)
            return compress(job, self.examples, self.lessons, {}, self.features, self.trained, self.judged)


def steps(folder: Path, models: Sequence[Any]) -> Steps:
    write_log(folder)
    (folder / "work").mkdir()
    with Runner(Workspace(folder / "work", "clicks"), Silent()) as runner:
        job = Job(design(models, []), Place(folder), runner)
        ingest_tables(job)
        examples = make_examples(job, None, {})
        lessons = make_lessons(job, examples)
        features = compute_features(job, examples, {})
        trained = train(job, examples, lessons, {}, features)
        judged = evaluate_ladders(job, examples, lessons, {}, {}, trained, features[FINAL])
    return Steps(folder, job, examples, lessons, features, trained, judged)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return steps(tmp_path_factory.mktemp("networks"), [NET])


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return steps(tmp_path_factory.mktemp("trees"), [bt.BoostedTrees(trees=60, calibrate="platt")])


@pytest.fixture(autouse=True)
def planted_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each model a time by its place: what is served must not hang on how busy the machine is."""
    times = [1.0, 0.5, 0.3, 1.0, 0.4]
    module = "bottega.runs.steps.compressing.milliseconds"
    monkeypatch.setattr(module, lambda models, _, size: [size * each for each in times[: len(models)]])


def found(result: Result | None) -> dict[str, Any]:
    assert result is not None
    card: dict[str, Any] = read_json(result.folder / COMPRESSION)["rank"]
    return card


def test_without_compression_there_is_no_step(networks: Steps) -> None:
    assert networks.compress([]) is None


def test_good_compressions_are_accepted_and_one_that_gains_is_served(networks: Steps) -> None:
    result = networks.compress(WELL)
    card = found(result)
    assert result is not None
    assert [entry["name"] for entry in card["tried"]] == [
        "Quantize(dynamic)",
        "Quantize(static)",
        "Prune(embeddings 0.1)",
        "Distill(DCN)",
    ]
    assert [entry["accepted"] for entry in card["tried"]] == [True] * 4
    assert card["champion"] == "DCN"
    assert card["served"] == "Quantize(static)"
    assert [entry["test"]["ms_200"] for entry in card["tried"]] == [100, 60, 200, 80]
    assert card["tried"][1]["test"]["ms_request"] == 0.3 * 50
    assert card["tried"][0]["test"]["bytes"] < 0.7 * card["test"]["bytes"]
    model = load_any(result.folder / SERVED / "rank" / "model", NET)
    assert isinstance(model, CompressedModel)
    assert Probability.load(result.folder / SERVED / "rank" / "model").kept == 0.5
    assert not (result.folder / "tried").exists()


def test_scores_of_what_is_served_are_those_that_were_judged(networks: Steps) -> None:
    result = networks.compress(WELL)
    card = found(result)
    assert result is not None
    scores = np.load(result.folder / SERVED / "rank" / "scores.npy")
    rows = read_examples(networks.examples.folder)
    judged = lesson_of(networks.lessons, networks.job.ladders[0], NET, FINAL).judged
    assert np.flatnonzero(~np.isnan(scores)).tolist() == judged.tolist()
    served = next(entry for entry in card["tried"] if entry["name"] == card["served"])["test"]
    assert served["metrics"]["log_loss"]["value"] == pytest.approx(log_loss(rows.label[judged], scores[judged]))
    assert served["predicted_over_observed"] == pytest.approx(scores[judged].mean() / rows.label[judged].mean(), 1e-5)
    before = np.load(networks.trained["rank", "DCN", FINAL].folder / "scores.npy")[judged]
    assert card["test"]["metrics"]["log_loss"]["value"] == pytest.approx(log_loss(rows.label[judged], before))


def test_bad_compressions_are_refused_with_the_numbers(networks: Steps) -> None:
    result = networks.compress(BADLY)
    card = found(result)
    assert result is not None
    assert [entry["accepted"] for entry in card["tried"]] == [False] * 3
    assert [entry["name"] for entry in card["tried"]][:2] == [
        "Prune(embeddings 0.99, layers 0.99)",
        "Prune(embeddings 0.99, layers 0.9)",
    ]
    lost, drifted, _ = (entry["reason"] for entry in card["tried"])
    assert "over the tolerance of 0.002" in lost
    assert "away from 1, over the limit of 0" in drifted
    assert (card["served"], card["test"]) == (None, None)
    assert not (result.folder / SERVED).exists()


def test_a_name_that_comes_twice_gets_a_number(networks: Steps) -> None:
    card = found(
        networks.compress([bt.Prune(0.2, tolerance=9, calibration=9), bt.Prune(0.2, tolerance=8, calibration=9)])
    )
    assert [entry["name"] for entry in card["tried"]] == ["Prune(embeddings 0.2)", "Prune(embeddings 0.2) #2"]


def test_what_cannot_apply_is_refused_by_name(trees: Steps, networks: Steps) -> None:
    card = found(trees.compress([bt.Quantize(), bt.Prune()]))
    assert [entry["reason"] for entry in card["tried"]] == [
        "BoostedTrees is no network: it has no vectors and layers to round or prune"
    ] * 2
    assert (card["served"], card["before"]) == (None, None)
    card = found(networks.compress([bt.Distill(NET)]))
    assert card["tried"][0]["reason"] == "the student is the champion itself"


def test_trees_teach_a_network_that_is_corrected_and_calibrated_anew(trees: Steps) -> None:
    result = trees.compress([bt.Distill(STUDENT, tolerance=9, calibration=9)])
    card = found(result)
    (entry,) = card["tried"]
    assert entry["accepted"]
    assert entry["predicted_over_observed"] == pytest.approx(1, abs=0.1)  # half of the negatives were left out
    side = side_of(trees, CHOICE)
    student = compressed(bt.Distill(STUDENT, share=1), side, True, trees.folder / "checkpoints")
    assert student.probability.kept == 0.5
    assert student.probability.calibrator is not None
    assert student.probability.calibrator != side.model.probability.calibrator
    teacher, pupil = side.model.score(side.judged), student.score(side.judged)
    assert np.abs(pupil - teacher).mean() < 0.5 * np.abs(teacher - teacher.mean()).mean()


def side_of(made: Steps, fit: str) -> Side:
    """Put together one fit of the champion by hand."""
    (ladder,) = ladders(made.job.design)
    setting = ladder.rungs[0]
    lesson = lesson_of(made.lessons, ladder, setting, fit)
    rows = read_examples(made.examples.folder)
    learnt = np.isin(rows.part, FITS[fit][0])
    table = model_table(made.job, made.examples, {}, made.features[fit], lesson.rows, learnt)
    folder = made.trained["rank", type(setting).__name__, fit].folder
    model = Corrected(load_any(folder / "model", setting), Probability.load(folder / "model"))
    scores = np.load(folder / "scores.npy")
    return Side(fit, setting, model, folder / "model", lesson, table, table.take(lesson.judged), scores)


def test_a_champion_is_compressed_as_it_lies_on_the_disk(networks: Steps) -> None:
    side = side_of(networks, FINAL)
    assert isinstance(side.model.scorer, NetworkModel)
    np.testing.assert_allclose(side.model.score(side.judged), side.scores[side.lesson.judged], atol=1e-6)
    found = compressed(bt.Quantize(), side, True, networks.folder / "checkpoints")
    assert found.probability == side.model.probability


def outcome_of(before: np.ndarray, after: np.ndarray, label: np.ndarray) -> tuple[Outcome, Rung, Rung]:
    rungs = [Rung("champion", "rank", before), Rung("compressed", "rank", after)]
    many = np.arange(len(label))
    return Outcome(many, many // 5, None, label, np.ones(len(label), bool), {}, {}, rungs, None), *rungs


@pytest.mark.parametrize(("noise", "accepted"), [(0.001, True), (0.1, False)])
def test_planted_noise_is_judged_by_its_size(noise: float, accepted: bool) -> None:
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.2, 0.8, 20_000)
    label = (rng.random(20_000) < chance).astype(float)
    worse = np.clip(chance + rng.choice([-noise, noise], 20_000), 0.01, 0.99)
    verdict, gap = judge_compression(*outcome_of(chance, worse, label), bt.Quantize(calibration=1), "log_loss")
    assert verdict.accepted == accepted
    assert gap is not None
    truth = -(label * np.log(worse / chance) + (1 - label) * np.log((1 - worse) / (1 - chance))).mean()
    assert gap.value == pytest.approx(truth)
    assert gap.low < gap.value < gap.high


def test_a_shift_of_the_mean_is_refused_where_the_order_stays() -> None:
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.2, 0.8, 20_000)
    label = (rng.random(20_000) < chance).astype(float)
    case = outcome_of(chance, chance * 1.1, label)
    verdict, gap = judge_compression(*case, bt.Quantize(), "roc_auc")
    assert gap is not None
    assert gap.value == 0
    assert not verdict.accepted
    assert "predicted over observed" in verdict.reason
    assert judge_compression(*case, bt.Quantize(calibration=0.2), "roc_auc")[0].accepted


def test_a_metric_without_a_value_is_refused_in_words() -> None:
    same = np.full(10, 0.5)
    verdict, gap = judge_compression(*outcome_of(same, same, np.zeros(10)), bt.Quantize(), "roc_auc")
    assert (verdict.accepted, gap) == (False, None)
    assert "has no value on validation" in verdict.reason
