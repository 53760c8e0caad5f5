"""Rules on step 2, data: labels that come late, are hidden, sampled away, or of one kind alone."""

from __future__ import annotations

from collections.abc import Iterator

from bottega.design.data import Downsample, Upsample
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.design.features import TargetRate, Window
from bottega.design.part import microseconds
from bottega.design.serving import Decide
from bottega.errors import several
from bottega.reviewing.finding import Claim
from bottega.reviewing.looking import DAY, about, columns_read, examples_table, percent, rungs, spelled, stages
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import both, having, of

_LATE = 0.05  # share of positives that may come after the maturity


@rule("R205", "stop", about=of(Downsample))
def weighted_twice(design: Design, _: Seen | None) -> Iterator[Claim]:
    """Negatives are sampled with weights, and a model weighs positives on top.

    Why. Weights of one over the share kept undo the sampling. A weight of the positives as well moves the probability
    away from the truth again, by that factor in the odds.

    Example.

        bt.Data(…, sampling=bt.Downsample(0.1, correct=False, weight=True))
        models={"rank": [bt.Logistic(positive_weight=10)]}

    Fix. One of the two: leave `positive_weight` out.

    Source. A. Dal Pozzolo et al., Calibrating Probability with Undersampling for Unbalanced Classification, IEEE
    Symposium Series on Computational Intelligence 2015, https://doi.org/10.1109/SSCI.2015.33
    """
    sampling = design.data.sampling
    if not isinstance(sampling, Downsample) or not sampling.weight:
        return
    for place, rung, name in rungs(design, *design.models):
        if (weight := getattr(rung, "positive_weight", 1.0)) != 1:
            yield Claim(
                f"{place}.positive_weight",
                f"{name} counts a positive {weight:g} times, and the sampling is undone by weights already.",
                f"Its odds come out {weight:g} times too {'high' if weight > 1 else 'low'}.",
                "leave positive_weight out",
            )


@rule("R206", "warn", about=both(of(Decide), of(Logged)))
def censored_by_decision(design: Design, _: Seen | None) -> Iterator[Claim]:
    """What is decided hides the label, and the design does not say so.

    Why. A payment that is blocked never shows whether it was fraud; a loan that is refused is never paid back. Learnt
    from as if they were honest or missing by chance, these rows make the next model blind where the last one acted.

    Example.

        bt.Label("fraud", matures_after="30d")
        bt.Serving(path=[bt.Score(), bt.Decide(["approve", "block"], costs=…)])

    Fix. `bt.Label("fraud", matures_after="30d", censored_when="action = 'block'")`, and let a small share through.

    Source. H. Lakkaraju et al., The Selective Labels Problem: Evaluating Algorithmic Predictions in the Presence of
    Unobservables, KDD 2017.
    """
    label = design.data.labels[0]
    if stages(design, Decide) and isinstance(design.data.examples, Logged) and label.censored_when is None:
        actions = stages(design, Decide)[0][1].actions
        yield Claim(
            "data.labels[0]",
            f"the path decides between {', '.join(actions)}, and no label is said to be censored.",
            f"Rows whose {label.name} nobody could see count as if it had been 0.",
            f"censored_when=\"action = '{actions[-1]}'\"",
        )


@rule("R208", "warn", about=both(of(Logged), of(Window, TargetRate)))
def final_at_once(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A label that nobody says when is final is a feature of what comes next.

    Why. A window over the label counts each row from the time at which its label is final. Where the design names no
    such time, that is the event itself: a payment counts as fraud for the next one a second later, and in production
    somebody has to find out first. Training then reads what serving does not know yet, and the test flatters the model.

    Example.

        bt.Label("fraud")
        bt.Window("payments", by="terminal", over=["7d"], values={"rate": "avg(fraud)"})

    Fix. `matures_after="7d"`, as long as it takes until the label is known; where the table has that time,
    `observed_at="reported_at"`.

    Source. Y.-A. Le Borgne, W. Siblini, B. Lebichot and G. Bontempi, Reproducible Machine Learning for Credit Card
    Fraud Detection – Practical Handbook, Université Libre de Bruxelles 2022, chapter 3 (the delay in a
    terminal's risk), https://github.com/Fraud-Detection-Handbook/fraud-detection-handbook
    """
    table = examples_table(design)
    for place, label in enumerate(design.data.labels):
        if microseconds(label.matures_after) or label.observed_at is not None or table.time is None:
            continue
        for feature in design.features:
            window = isinstance(feature, Window) and feature.table == table.name and label.name in columns_read(feature)
            if window or (isinstance(feature, TargetRate) and place == 0):
                yield Claim(
                    f"data.labels[{place}]",
                    f"{label.name!r} is final with its event, and a {type(feature).__name__} makes a feature of it.",
                    "The next row knows it at once, which serving will not: the test flatters the model.",
                    'matures_after="1d", or as long as it takes until it is known',
                )
                break


@rule(
    "R211",
    "stop",
    needs_data=True,
    about=both(of(Logged), having(lambda design: any(label.observed_at for label in design.data.labels))),
)
def late_labels(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """Labels come later than the design says that they are final.

    Why. A positive that has not come yet looks like a negative. With `matures_after` too short, such rows are learnt as
    negatives, the newest ones most, and every probability comes out too low. A label with a `window` counts what comes
    after `matures_after` as 0 by its own definition, and is left alone.

    Example.

        bt.Label("converted", matures_after="1h", observed_at="converted_at")     # and most come after a day

    Fix. `matures_after` as long as nine of ten need; where that is too long to wait, `window=` learns from what came
    early and corrects for the rest.

    Source. O. Chapelle, Modeling Delayed Feedback in Display Advertising, KDD 2014.
    """
    for place, label in enumerate(design.data.labels):
        found = seen.labels.get(label.name) if seen is not None else None
        if found is not None and found.late > _LATE and label.window is None:
            longer = max(DAY, -(-found.slow // DAY) * DAY) if found.slow > DAY // 2 else found.slow
            yield Claim(
                f"data.labels[{place}].matures_after",
                f"{label.name!r} is said to be final after {label.matures_after}.",
                f"{percent(found.late)} of its positives come later, and are missing among what is learnt while "
                f"negatives count; nine of ten are there after {about(found.slow)}.",
                f'matures_after="{spelled(longer)}"',
            )


@rule("R213", "warn", needs_data=True, about=both(of(Downsample, Upsample), of(Logged)))
def oversampled(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """After sampling, positives outnumber negatives.

    Why. Sampling buys speed, or makes rare positives count. Beyond even numbers it throws away negatives for nothing,
    and the correction multiplies the noise of what is left.

    Example.

        bt.Downsample(keep_negatives=0.001)       # where 2 % are positive

    Fix. Keep about as many negatives as positives, or more.

    Source. X. He et al., Practical Lessons from Predicting Clicks on Ads at Facebook, ADKDD 2014, section 6.
    """
    sampling, label = design.data.sampling, design.data.labels[0]
    found = seen.labels.get(label.name) if seen is not None else None
    if sampling is None or found is None or not 0 < found.positives < found.rows:
        return
    kept = sampling.keep_negatives if isinstance(sampling, Downsample) else 1 / sampling.times
    ratio = found.rate / ((1 - found.rate) * kept)
    if ratio > 2:
        even = found.rate / (1 - found.rate)
        fix = f"times={max(2, round(1 / even))}" if isinstance(sampling, Upsample) else f"keep_negatives={even:.2g}"
        yield Claim(
            "data.sampling",
            f"the sampling leaves {ratio:.1f} positives for each negative.",
            f"Of {found.rows:,} rows {percent(found.rate)} are positive: many negatives are thrown away for nothing.",
            fix,
        )


@rule("R217", "stop", needs_data=True, about=of(Logged))
def nothing_to_learn(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """The label has one value, or none that counts.

    Why. Without both kinds of examples there is nothing to learn and nothing to judge. Mostly the label is not mature
    when the log ends, a filter kept one kind alone, or the column holds words.

    Example.

        bt.Label("clicked", matures_after="90d")           # on a log of 30 d

    Fix. A longer log, a label that is sooner final, or numbers in its column.

    Source. E. Breck et al., Data Validation for Machine Learning, MLSys 2019.
    """
    if seen is None:
        return
    if seen.refused is not None:
        where, found = seen.refused
        yield Claim(where, f"the label cannot be read: {found}.", "`bottega run` stops here.", "a column of numbers")
    for place, label in enumerate(design.data.labels):
        one = seen.labels.get(label.name)
        if one is not None and one.positives in (0, one.rows):
            found = f"Of {several(one.rows, 'label')} that count, {one.positives:,} are positive."
            yield Claim(
                f"data.labels[{place}]",
                f"{label.name!r} has {'one value' if one.rows else 'no value that counts'}.",
                f"{found} There is nothing to learn, and nothing to judge.",
                "a longer log, or a label that is sooner final",
            )


RULES = (weighted_twice, censored_by_decision, final_at_once, late_labels, oversampled, nothing_to_learn)
