"""What the summary on the terminal says below the ladders: short phrases, the style of each beside it."""

from __future__ import annotations

from bottega.reporting import numbers
from bottega.reporting.chapters.auction import told as replayed
from bottega.reporting.chapters.calibration import wrong_slices
from bottega.reporting.chapters.compression import served
from bottega.reporting.chapters.models import best_gap
from bottega.reporting.chapters.rungs import beginnings
from bottega.reporting.chapters.search import held, lost
from bottega.reporting.chapters.search import served as served_by
from bottega.reporting.chapters.serving import arrived
from bottega.reporting.doubts import doubts
from bottega.reporting.reasons import reason
from bottega.reporting.scorecard import Ladder, Scorecard
from bottega.reporting.verdict import decided, promise, reached, released

Phrase = tuple[str, str]

_SHOWN = 3  # goals met by the value alone
_OFTEN = 0.1  # share of degraded answers from which on the commonest reason is told
_WORTH_TELLING = 0.0005  # of the relevant, lost at the cut


def phrases(card: Scorecard) -> list[tuple[str, list[Phrase]]]:
    """Give each line's label, and its phrases with their style; a phrase is broken only at its spaces."""
    facts = [("intervals", [(f"wide: {told}", "bad")] if (told := doubts(card)) else [])]
    facts += [("began", [(told, "")]) for told in beginnings(card)]
    facts += [("champion", _choice(ladder)) for ladder in card.judged]
    facts += [("left out", [(f"{name}: {reason}", "") for name, reason in card.left_out.items()])]
    facts += [
        ("ceiling", _ceiling(card)),
        ("calibration", _calibration(card)),
        ("funnel", _funnel(card)),
        ("search", _search(card)),
    ]
    facts += [("auction", _auction(card)), ("compressed", _compressed(card))]
    facts += [("served", _served(card)), ("fresh", _fresh(card)), ("parity", _parity(card))]
    facts += [("goals", _goals(card)), ("release", _release(card))]
    return [(label, words) for label, words in facts if words]


def _choice(ladder: Ladder) -> list[Phrase]:
    if ladder.choice is None or not ladder.choice.reason:
        return []
    of_ladder = f"{ladder.name}, " if ladder.name else ""
    return [(f"{of_ladder}on validation (above: the test): {ladder.choice.reason}", "")]


def _ceiling(card: Scorecard) -> list[Phrase]:
    gaps = card.ceiling.gap if card.ceiling is not None else {}
    return [(told, "") for metric in gaps if (told := best_gap(card, metric))]


def _calibration(card: Scorecard) -> list[Phrase]:
    """Predicted over observed of each champion, and the slices on which it is off."""
    found = []
    for ladder, each in card.calibration.items():
        name = "predicted_over_observed"
        if (at := each.overall.predicted_over_observed) is None or at.value is None:
            continue
        told = numbers.plus_minus(at.value, at.low, at.high, numbers.places(name))
        of_ladder = f"{ladder}: " if len(card.calibration) > 1 else ""
        found.append((f"{of_ladder}{numbers.title(name)} {told}", ""))
        wrong, total = wrong_slices(each), sum(map(len, each.slices.values()))
        if total:
            few = f": {', '.join(wrong[:3])}{' …' if len(wrong) > 3 else ''}" if wrong else ""
            found.append((f"{len(wrong)} of {numbers.several(total, 'slice')} off{few}", "bad" if wrong else ""))
    return found


def _auction(card: Scorecard) -> list[Phrase]:
    return [(phrase, "") for phrase in replayed(card.auction)] if card.auction is not None else []


def _compressed(card: Scorecard) -> list[Phrase]:
    several = len(card.compression) > 1
    return [
        (f"{f'{ladder}: ' if several else ''}{served(found)}", "")
        for ladder, found in card.compression.items()
        if found.tried or found.served
    ]


def _funnel(card: Scorecard) -> list[Phrase]:
    rows = {row.stage: row for row in card.funnel if row.view is None}
    cut, retrieve, show = rows.get("cut"), rows.get("retrieve") or rows.get("cut"), rows.get("show")
    found = []
    if cut is not None and cut.candidates is not None:
        found.append((f"candidates {numbers.average(cut.candidates)}", ""))
    brought = not any(rung.stage == "retrieve" for rung in card.models)  # then all candidates are kept, always
    if not brought and retrieve is not None and retrieve.kept is not None:
        found.append((f"kept by retrieval {numbers.share(retrieve.kept.value)}", ""))
    if retrieve is not cut and cut is not None and cut.lost is not None and (cut.lost.value or 0) >= _WORTH_TELLING:
        found.append((f"lost at the cut {numbers.share(cut.lost.value)}", ""))
    if show is not None and show.lost is not None:
        found.append((f"lost in ranking {numbers.share(show.lost.value)}", ""))
    return found


def _search(card: Scorecard) -> list[Phrase]:
    found = card.search
    if found is None:
        return []
    told = [held(found), served_by(found), *lost(found)]
    return [(phrase, "" if found.accepted else "bad") for phrase in told if phrase]


def _served(card: Scorecard) -> list[Phrase]:
    service = card.serving
    if service is None or service.p50_ms is service.p95_ms is service.p99_ms is None:
        return []
    found = [(f"{name} {numbers.milliseconds(getattr(service, f'{name}_ms'))}", "") for name in ("p50", "p95")]
    limit = service.limit
    met = limit.met if limit is not None and not (limit.met and service.fewer) else None
    style = {True: "good", False: "bad", None: ""}[met]
    p99 = f"p99 {numbers.milliseconds(service.p99_ms, service.intervals.get('p99_ms'))}"
    stated = f"{numbers.setting(limit.p99_ms)} ms" if limit is not None and limit.p99_ms is not None else ""
    if limit is not None and limit.met is not None and stated:
        p99 += f" ({'within' if limit.met else 'over'} the limit of {stated})"
    elif beside := [part for part in (service.unjudged, stated and f"the limit is {stated}") if part]:
        p99 += f" ({'; '.join(beside)})"
    found.append((p99, style))
    if service.fewer:
        found.append((service.fewer, "bad"))
    elif service.candidates is not None:
        found.append((numbers.with_noun(numbers.average(service.candidates), "candidate"), ""))
    if service.rate is not None:
        found.append((f"at {numbers.amount(service.rate)} requests/s", ""))
    load = [
        f"{numbers.count(service.requests)} requests, open loop" if service.requests is not None else "",
        numbers.several(service.workers, "worker") if service.workers is not None else "",
    ]
    if any(load):
        found.append((f"({', '.join(filter(None, load))}; more with bottega load)", "soft"))
    if service.failed:
        found.append((f"{numbers.count(service.failed)} failed", "bad"))
    if service.degraded:
        often = max(service.degradations.items(), key=lambda item: item[1], default=("", 0))
        mostly = f", most often {reason(often[0])}" if often[0] and service.degraded >= _OFTEN else ""
        found.append((f"{numbers.share(service.degraded)} degraded{mostly}", "bad"))
    return found


def _fresh(card: Scorecard) -> list[Phrase]:
    return [] if card.arrival is None else [(part, "") for part in arrived(card.arrival).split("; ")]


def _parity(card: Scorecard) -> list[Phrase]:
    found = card.parity
    if found is None or not found.compared:
        return []
    differ = found.mismatches or 0
    told = f"{numbers.count(found.compared)} values compared, {numbers.count(differ)} differ"
    return [(f"{told}: {numbers.listed(found.by_feature)}" if found.by_feature else told, "bad" if differ else "good")]


def _goals(card: Scorecard) -> list[Phrase]:
    if not card.goals:
        return []
    met = sum(goal.met is True for goal in card.goals)
    whole = met == len(card.goals)
    found = [(f"{met} of {len(card.goals)} met", "good" if whole else "bad")]
    words = {True: "met", False: "missed", None: "not judged"}
    unclear = [goal for goal in card.goals if goal.met and decided(goal)]
    for goal in [*(goal for goal in card.goals if goal.met is not True), *unclear[:_SHOWN]]:
        how = f" {told}" if (told := decided(goal)) else ""
        value = f" ({reached(goal)})" if goal.value is not None else ""
        found.append((f"{words[goal.met]}{how}: {promise(goal)}{value}", ""))
    if more := len(unclear[_SHOWN:]):
        found.append((f"and {more} more met by the value alone", ""))
    return found


def _release(card: Scorecard) -> list[Phrase]:
    release = card.release
    if release is None:
        return []
    failed = any(not gate.passed for gate in release.gates)
    return [(released(card), "good" if release.released else "bad" if failed else "")]
