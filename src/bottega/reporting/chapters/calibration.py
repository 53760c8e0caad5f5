"""Of the chapter on evaluation: whether probabilities are honest, by tenths of the score and by slice."""

from __future__ import annotations

from bottega.reporting import numbers
from bottega.reporting.blocks import Axis, Block, Facts, Grid, Heading, Paragraph, Plane, Series, Spot, Status, Words
from bottega.reporting.click_parts import Bin, Calibration
from bottega.reporting.measured import Measured
from bottega.reporting.scorecard import Scorecard

OFF = 0.1  # from which distance to 1 a slice is marked, if its interval excludes 1
_TENTHS = 10
_WIDE = 15.0  # largest over smallest probability, from which on axes are logarithmic


def calibration(card: Scorecard) -> list[Block]:
    """Show predicted beside observed for each ladder's champion, before and after what corrects it."""
    blocks: list[Block] = []
    for ladder, found in card.calibration.items():
        named = f", {ladder}" if len(card.calibration) > 1 else ""
        blocks.append(Heading(f"Calibration of {found.rung}{named}" if found.rung else f"Calibration{named}"))
        if facts := _facts(found):
            blocks.append(Facts(facts))
        blocks += _plot(found)
        blocks += _deciles(found)
        blocks += _slices(found)
    return blocks


def wrong_slices(found: Calibration) -> list[str]:
    """Name the slices that are off by more than 10 %, with an interval that excludes 1."""
    return [
        f"{name} {value}" for name, values in found.slices.items() for value, at in values.items() if off(at) is False
    ]


def off(at: Measured) -> bool | None:
    """Judge predicted over observed: true within 10 %, false outside it with an interval that excludes 1, else None."""
    if at.value is None:
        return None
    if abs(at.value - 1) <= OFF:
        return True
    if at.low is None or at.high is None:
        return None
    return None if at.low <= 1 <= at.high else False


def _facts(found: Calibration) -> list[tuple[str, Words]]:
    facts: list[tuple[str, Words]] = []
    for name in ("predicted_over_observed", "ece", "normalized_entropy"):
        at, why = getattr(found.overall, name), found.overall.undefined.get(name)
        if at is None and why is None:
            continue
        title = numbers.title(name)
        told = f"not defined: {why}" if at is None else _estimated(name, at)
        facts.append((numbers.begun(title), told))
    if found.kept is not None:
        share = numbers.setting(100 * found.kept)
        told = f"{share} % of the negatives were kept in training; the probability is corrected for it"
        facts.append(("Sampling", told))
    if found.late is not None:
        told = f"{numbers.rate(found.late)} of the positives come within the label's window; the rest is corrected for"
        facts.append(("Late labels", told))
    if found.calibrator is not None:
        rows = f" on {numbers.count(found.calibrated_on)} rows of its own" if found.calibrated_on is not None else ""
        facts.append(("Calibrator", f"{found.calibrator}, fitted{rows}, after the correction"))
    return facts


def _groups(found: Calibration) -> str:
    """Call the parts of the score by their number: equal scores stay together, so that there may be fewer than ten."""
    parts = len(found.deciles)
    return "tenths" if parts == _TENTHS else numbers.several(parts, "part")


def _estimated(name: str, at: Measured) -> str:
    units = f", over {numbers.count(at.n)} independent units" if at.n is not None else ""
    units += "; how far predicted and observed lie apart in 15 parts of the score, less what chance makes of it" * (
        name == "ece"
    )
    return numbers.estimate(at.value, at.low, at.high, numbers.places(name)) + units


def _plot(found: Calibration) -> list[Block]:
    """Predicted across, observed up; on logarithmic axes where tenths lie far apart, as rare positives do."""
    after = [spot for each in found.deciles if (spot := _spot(each, "")) is not None]
    before = [spot for each in found.raw if (spot := _spot(each, "before: ")) is not None]
    ends = [end for spot in after + before for end in (spot.x, spot.y, spot.high) if end is not None and end > 0]
    if not after or not ends:
        return []
    log = max(ends) > _WIDE * min(ends)
    low, high = (min(ends) / 1.3, min(max(ends) * 1.3, 1.0)) if log else (0.0, min(max(ends) * 1.06, 1.0))
    series = [Series("before correction and calibrator", before, "dot", joined=True)] if before else []
    series.append(Series("as served" if before else "the champion", after, "champion"))
    nothing = log and any(spot.y <= 0 for spot in after + before)
    told = f"Predicted and observed by {_groups(found)} of the score, with 95 % intervals"
    told += "; a part without a positive stands at the lower edge" if nothing else ""
    axes = [Axis(name, (low, high), "percent", log) for name in ("predicted", "observed")]
    line = ((low, low), (high, high), "predicted = observed")
    return [Plane(told, series, axes[0], axes[1], line, square=True)]


def _spot(each: Bin, name: str) -> Spot | None:
    if each.predicted is None or each.observed is None:
        return None
    told = f"{name}predicted {numbers.rate(each.predicted)}, observed {_observed(each)}"
    return Spot(each.predicted, each.observed, told, each.low, each.high)


def _observed(each: Bin) -> str:
    return numbers.rate(each.observed, each.low, each.high)


def _deciles(found: Calibration) -> list[Block]:
    blocks: list[Block] = []
    captions = f"By {_groups(found)} of the score, the lowest first", "The same before correction and calibrator"
    for caption, bins in zip(captions, (found.deciles, found.raw), strict=True):
        rows: list[list[Words]] = [
            [str(place), numbers.rate(each.predicted), _observed(each), numbers.count(each.n)]
            for place, each in enumerate(bins, 1)
        ]
        blocks += [Grid(caption, ["part", "predicted", "observed", "rows"], rows)] if rows else []
    return blocks


def _slices(found: Calibration) -> list[Block]:
    rows: list[list[Words]] = []
    for name, values in found.slices.items():
        for value, at in values.items():
            judged = off(at)
            words = {True: "within 10 %", False: "off", None: "not told apart from 1"}[judged]
            told = numbers.estimate(at.value, at.low, at.high, numbers.places("predicted_over_observed"))
            rows.append([name, value, Status(judged, words), told, numbers.count(at.n)])
    if not rows:
        return []
    head = ["slice", "value", "result", "predicted/observed", "rows"]
    told = "Off is further than 10 % from 1, with an interval that excludes 1. Of many slices some are so by chance."
    return [Grid("Predicted over observed by slice", head, rows, left=3), Paragraph(told, quiet=True)]
