"""Scorecards about clicks: an auction with two ladders and every part filled in, and a log with few clicks."""

from __future__ import annotations

import math
from typing import Any

from report_cards import full

import bottega as bt

ads = bt.Design(
    name="ad-auction",
    scope=bt.Scope(
        question="Which ads do we show for this query, and what does a click cost?",
        decision="The auction ranks by bid × P(click): an over-estimate shows the wrong ad and overcharges.",
        objective=bt.Objective("revenue per thousand searches", "up"),
        limits=bt.Limits(p99_ms=10),
    ),
    data=bt.Data(
        tables=[
            bt.Table("impressions", "impressions/*.parquet", time="shown_at"),
            bt.Table("ads", "ads.parquet", key="ad_id"),
        ],
        examples=bt.Logged("impressions", request=["user_id", "query", "device"], candidate="ad_id"),
        labels=[
            bt.Label("clicked", matures_after="1h"),
            bt.Label("bought", matures_after="3d", given="clicked", observed_at="bought_at", window="1d"),
        ],
        split=bt.TimeSplit(validate="1d", test="1d"),
        sampling=bt.Downsample(keep_negatives=0.1),
        position=bt.InversePropensity("position"),
    ),
    features=[
        bt.Categories(["user_id", "query", "ad_id", "device"], own_from=20, hashed=4096),
        bt.TargetRate(["query", "ad_id"], pairs=True),
        bt.Lookup("ads", by="ad_id", columns=["advertiser", "bid", "budget"]),
    ],
    models={
        "rank": [
            bt.HistoricalRate(by="ad_id"),
            bt.Logistic(calibrate="platt"),
            bt.BoostedTrees(calibrate="isotonic"),
            bt.DCN(embedding_size=16, calibrate="isotonic"),
            bt.DeepFM(optional=True),
        ],
        "convert": [bt.HistoricalRate(by="ad_id"), bt.Logistic()],
    },
    evaluation=bt.Evaluation(
        primary="normalized_entropy",
        metrics=["log_loss", "roc_auc", "predicted_over_observed"],
        slices=["device"],
        goals=[
            bt.Goal("normalized_entropy", below="HistoricalRate"),
            bt.Goal("predicted_over_observed", within=(0.95, 1.05), slices=["device"]),
            bt.Goal("predicted_over_observed", within=(0.8, 1.25), ladder="convert"),
        ],
    ),
    serving=bt.Serving(
        path=[
            bt.Candidates(columns=["bid"]),
            bt.Rank(budget_ms=6),
            bt.Rank(ladder="convert", label="bought"),
            bt.Pace(strength=2),
            bt.Auction(slots=4, conversion="convert", reserve=0.05),
        ],
        compress=[
            bt.Quantize(mode="static"),
            bt.Prune(embeddings=0.7),
            bt.Distill(bt.DCN(embedding_size=8, layers=[64])),
        ],
    ),
)

banner = bt.Design(
    name="banner-clicks",
    scope=bt.Scope(question="Which of these products do we show in this place of the page?"),
    data=bt.Data(
        tables=[bt.Table("log", "log.csv", time="timestamp")],
        examples=bt.Logged("log", request=["user"], candidate="item_id", propensity="propensity_score"),
        labels=[bt.Label("click")],
        split=bt.TimeSplit(test="1d"),
        position=bt.PositionFeature("position"),
    ),
    features=[bt.Categories(["item_id", "position"])],
    models={"rank": [bt.HistoricalRate(by="item_id"), bt.Logistic(positive_weight=3, calibrate="platt")]},
    evaluation=bt.Evaluation(primary="normalized_entropy", metrics=["roc_auc"]),
    serving=bt.Serving(path=[bt.Candidates(), bt.Rank(), bt.Show(k=3)]),
)


def measured(value: float, half: float, n: int = 200_311) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def rung(name: str, stage: str, entropy: float, auc: float, ratio: float, seconds: float, n: int) -> dict[str, Any]:
    half = 1.6 / math.sqrt(n)
    metrics = {
        "normalized_entropy": measured(entropy, half, n),
        "log_loss": measured(0.0312 * entropy, 0.0003, n),
        "roc_auc": measured(auc, half, n),
        "predicted_over_observed": measured(ratio, 9 * half, n),
    }
    device = {place: {name: dict(at) for name, at in metrics.items()} for place in ("mobile", "desktop")}
    return {"name": name, "stage": stage, "metrics": metrics, "slices": {"device": device}, "seconds": seconds}


def decile(place: int, shift: float = 1.0, rate: float = 0.0052, n: int = 20_031) -> dict[str, Any]:
    """A tenth whose true rate spreads about the mean one as real scores do."""
    predicted = rate * math.exp(0.45 * (place - 5.9))
    observed = predicted * (1 + 0.04 * math.sin(2.3 * place))
    half = 1.96 * math.sqrt(observed / n)
    return {
        "predicted": predicted * shift,
        "observed": observed,
        "low": observed - half,
        "high": observed + half,
        "n": n,
    }


def choice(name: str, stage: str, reason: str, pairs: list[dict[str, Any]], decided: bool = True) -> dict[str, Any]:
    facts = {"name": name, "stage": stage, "decided": decided, "best": name, "reason": reason, "within_budget": True}
    return {**facts, "comparisons": pairs, "undefined": {}}


def pair(a: str, b: str, difference: float, half: float, **more: Any) -> dict[str, Any]:
    ends = {"difference": difference, "low": difference - half, "high": difference + half, "n": 200_311}
    return {"a": a, "b": b, "metric": "normalized_entropy", **ends, **more}


def goal(metric: str, limit: str, value: float, half: float, **more: Any) -> dict[str, Any]:
    return {"metric": metric, "limit": limit, **measured(value, half), "met": True, **more}


def footing(entropy: float, ratio: float, ece: float, size: int, one: float, many: float) -> dict[str, Any]:
    metrics = {"normalized_entropy": measured(entropy, 0.0036), "roc_auc": measured(0.7713, 0.0041)}
    return {
        "metrics": metrics,
        "predicted_over_observed": ratio,
        "ece": ece,
        "bytes": size,
        "ms_1": one,
        "ms_200": many,
    }


def tried(name: str, kind: str, accepted: bool, reason: str, gap: float, *measures: Any) -> dict[str, Any]:
    facts = {"name": name, "kind": kind, "accepted": accepted, "reason": reason}
    return {**facts, "difference": {"value": gap, "low": gap - 0.0004, "high": gap + 0.0004}, **footing(*measures)}


def auction() -> dict[str, Any]:
    weight = [1.2 + math.cos((hour - 20) * math.pi / 12) for hour in range(24)]
    gone = [sum(weight[: hour + 1]) / sum(weight) * 0.87 for hour in range(24)]
    return {
        "searches": 50_078,
        "drawn": 5_000,
        "sold": 187_340,
        "clicks": 5_211,
        "revenue": 4_371.5,
        "revenue_per_1000": 87.3,
        "click_through": 0.0278,
        "conversions": 214.4,
        "by_hour": [
            {"hour": hour, "revenue": 4_371.5 * weight[hour] / sum(weight), "spent_share": gone[hour]}
            for hour in range(24)
        ],
        "advertisers": [
            {"advertiser": "adv-17", "budget": 400.0, "spent": 400.35, "clicks": 412, "cost_per_click": 0.972},
            {"advertiser": "adv-3", "budget": 350.0, "spent": 287.1, "clicks": 390, "cost_per_click": 0.736},
        ],
        "over_budget": {"advertisers": 1, "largest": 0.35},
        "given_free": {"clicks": 12.0, "worth": 3.456},
        "clicks_from": "the world's truth",
    }


def clicks() -> dict[str, Any]:
    """Every part about clicks filled in, on two ladders; a new value for each call."""
    scratch: dict[str, Any] = dict.fromkeys(("rung", "from", "until", "new_rows", "rows"))
    goes_on = {
        "rung": "Logistic",
        "from": "20251120-07c1",
        "until": "2025-11-20",
        "new_rows": 141_870,
        "rows": 1_800_313,
    }
    changed = "the features changed since release 20251120-07c1"
    rank_pairs = [pair("HistoricalRate", "DCN", 0.0871, 0.0042, verdict="worse")]
    ratio = {"desktop": measured(0.991, 0.021, 61_240), "mobile": measured(1.004, 0.017, 139_071)}
    calibration = {
        "rank": {
            "rung": "DCN",
            "deciles": [decile(place) for place in range(1, 11)],
            "raw": [decile(place, 8.4) for place in range(1, 11)],
            "kept": 0.1,
            "late": None,
            "calibrator": "isotonic",
            "calibrated_on": 151_220,
            "overall": {
                "predicted_over_observed": measured(1.0042, 0.0131),
                "ece": {"value": 0.00021, "low": 0.0, "high": 0.00043, "n": 200_311},
                "normalized_entropy": measured(0.8712, 0.0036),
            },
            "slices": {"device": ratio, "hour": {"3": measured(1.41, 0.22, 2_120), "20": measured(1.16, 0.19, 14_077)}},
        },
        "convert": {
            "rung": "Logistic",
            "deciles": [decile(place, 1.0, 0.21, 521) for place in range(3, 8)],
            "raw": None,
            "kept": None,
            "late": 0.83,
            "calibrator": None,
            "calibrated_on": None,
            "overall": {
                "predicted_over_observed": measured(0.972, 0.093, 5_211),
                "ece": None,
                "undefined": {"ece": "too few rows"},
            },
            "slices": {},
        },
    }
    return {
        **{key: full()[key] for key in ("peak_rss_mb", "machine")},
        "serving": {
            **full()["serving"],
            "candidates": 61.4,
            "sold": 7_864,
            "degraded": 0.87,
            "degradations": {"rank: late": 12, "auction: n of n without a budget": 1_731},
            "limit": {"p99_ms": 20.0, "met": True, "candidates": 200},
        },
        "data": {"offered": 2_002_616, "accepted": 2_002_612, "quarantined": 4, "tables": {}},
        "steps": [{"name": "train-dcn", "seconds": 74.2, "cached": False}],
        "design": "ad-auction",
        "build": "b-0002",
        "models": [
            rung("HistoricalRate", "rank", 0.9583, 0.688, 1.006, 0.4, 200_311),
            rung("Logistic", "rank", 0.9021, 0.742, 1.011, 14.1, 200_311),
            rung("BoostedTrees", "rank", 0.8809, 0.763, 1.008, 31.0, 200_311),
            rung("DCN", "rank", 0.8712, 0.771, 1.004, 74.2, 200_311),
            rung("HistoricalRate", "convert", 0.997, 0.561, 1.02, 0.1, 5_211),
            rung("Logistic", "convert", 0.971, 0.602, 0.972, 0.9, 5_211),
        ],
        "ladders": {"rank": "clicked", "convert": "bought"},
        "champions": {"rank": "DCN", "convert": "Logistic"},
        "choice": {
            "rank": choice("DCN", "rank", "DCN is the best (normalized_entropy 0.8705).", rank_pairs),
            "convert": choice("Logistic", "convert", "Undecided: Logistic is the best and is kept.", [], False),
        },
        "comparisons": [
            pair("rank.DCN", "rank.HistoricalRate", -0.0871, 0.0042),
            pair("rank.DCN", "rank.Logistic", -0.0309, 0.0024),
            pair("rank.DCN", "rank.BoostedTrees", -0.0097, 0.0013),
            pair("convert.Logistic", "convert.HistoricalRate", -0.026, 0.031),
        ],
        "goals": [
            goal("normalized_entropy", "below HistoricalRate", -0.0871, 0.0042),
            goal("predicted_over_observed", "within 0.95 to 1.05", 1.0042, 0.0131, slice="mobile"),
            goal("predicted_over_observed", "within 0.95 to 1.25", 0.972, 0.093, ladder="convert", clear=False),
        ],
        "parity": {"compared": 214_000, "mismatches": 0, "by_feature": {}, "worst": []},
        "release": {
            "released": True,
            "current": "b-0002",
            "gates": [{"name": "goals", "passed": True, "detail": "3 met"}],
        },
        "ceiling": {
            "metrics": {"normalized_entropy": measured(0.8534, 0.0035), "roc_auc": measured(0.7889, 0.0038)},
            "gap": {"normalized_entropy": 0.0209, "roc_auc": None},
        },
        "calibration": calibration,
        "compression": {
            "rank": {
                "served": "int8",
                "before": footing(0.8712, 1.0042, 0.00021, 3_140_000, 0.21, 2.84),
                "tried": [
                    tried("int8", "Quantize", True, "", 0.0003, 0.8715, 1.0061, 0.00024, 861_000, 0.17, 1.31),
                    tried(
                        *("pruned", "Prune", False, "normalized_entropy loses up to 0.0112, more than 0.002"),
                        *(0.0108, 0.882, 1.0317, 0.0007, 1_120_000, 0.22, 2.79),
                    ),
                ],
            }
        },
        "auction": auction(),
        "categories": [
            {
                "column": "user_id",
                "values": 61_204,
                "own": 18_311,
                "hashed_values": 42_893,
                "hashed": 4_096,
                "collision_rate": 0.99991,
                "unseen_share": 0.0713,
            },
            {
                "column": "ad_id",
                "values": 2_104,
                "own": 2_077,
                "hashed_values": 27,
                "hashed": 4_097,
                "collision_rate": 0.0,
                "unseen_share": 0.0122,
            },
        ],
        "crosses": [{"column": "query_x_ad_id", "pairs": 81_377, "buckets": 262_144, "collision_rate": 0.2668}],
        "training": {
            "DCN": {
                "epochs": 4,
                "best_epoch": 3,
                "examples_per_s": 231_000,
                "seconds": 74.3,
                "device": "cpu",
                "precision": "float32",
                "rows": 412_020,
            }
        },
        "left_out": {"DeepFM": "torch is not installed: pip install bottega[deep]"},
        "position": {"kind": "InversePropensity", "chances": {"1": 1.0, "2": 0.612, "3": 0.433, "4": 0.321}},
        "labels": [
            {"name": "clicked", "rate": 0.00523, "rows": 2_000_512, "positives": 10_463, "test_positives": 1_043},
            {
                "name": "bought",
                "rate": 0.0431,
                "rows": 10_464,
                "positives": 451,
                "window_share": 0.831,
                "test_positives": 44,
            },
        ],
        "warm": {
            "rank": {
                "fits": [
                    {**scratch, "fit": "train", "reason": "nothing was released yet"},
                    {**goes_on, "fit": "refit"},
                ],
            },
            "convert": {"fits": [{**scratch, "fit": "refit", "rung": "Logistic", "reason": changed}]},
        },
        "source": {"kind": "world", "text": "the ads world, seed 0"},
        "seed": 0,
        "created": "2025-11-21 06:10 UTC",
    }


def few() -> dict[str, Any]:
    """A log with 287 clicks, of which few lie in the test: nothing can be told."""
    at = {"HistoricalRate": 1.004, "Logistic": 0.991}
    rungs = [rung(name, "rank", value, 0.52, 1.07, 0.3, 9_912) for name, value in at.items()]
    for each in rungs:
        value = each["metrics"]["normalized_entropy"]["value"]
        each["metrics"]["normalized_entropy"] = measured(value, 0.055, 9_912)
        each["slices"] = {}
    told = "Undecided: Logistic is the best (normalized_entropy 0.989) and is kept."
    thin = [{**decile(place, 1.0, 0.004, 991), "observed": 0.0, "low": 0.0, "high": 0.0037} for place in (1, 2)]
    return {
        "build": "b-0003",
        "models": rungs,
        "champions": {"rank": "Logistic"},
        "choice": choice("Logistic", "rank", told, [], False),
        "comparisons": [pair("Logistic", "HistoricalRate", -0.013, 0.031)],
        "calibration": {
            "rank": {
                "rung": "Logistic",
                "deciles": [*thin, *(decile(place, 1.0, 0.004, 991) for place in range(3, 11))],
                "overall": {"predicted_over_observed": measured(1.07, 0.34, 9_912)},
            }
        },
        "labels": [{"name": "click", "rate": 0.00287, "rows": 100_000, "positives": 287}],
        "position": {"kind": "PositionFeature", "chances": None},
        "source": {"kind": "data", "text": "the sample obd_small"},
    }
