"""Rates out of fold on a real table of categories, where BOTTEGA_DATA has it: as good as the best known yardstick."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from bottega.design.features import TargetRate
from bottega.design.scorers import BoostedTrees
from bottega.features.frame import Frame, category
from bottega.features.rate_table import RateTable
from bottega.features.target_rates import rates_by_fold, row_keys
from bottega.models.boosted_trees import BoostedTreesModel
from bottega.models.inputs import Inputs


def test_pairwise_rates_reach_the_yardstick_and_are_served_alike() -> None:
    """Bands of AUC and log loss from LightGBM on the same features; settings were chosen within the training rows."""
    folder = Path(os.environ.get("BOTTEGA_DATA", "")) / "frappe_part"
    if not (folder / "train.parquet").exists():
        pytest.skip("BOTTEGA_DATA names no folder with frappe_part")
    parts = [pq.read_table(folder / f"{name}.parquet") for name in ("train", "test")]
    rows = pa.concat_tables(parts)
    fields = [name for name in rows.column_names if name != "label"]
    columns = {name: category(rows[name].cast(pa.float64()).to_numpy()) for name in fields}
    frame = Frame({}, np.zeros(1, np.int64), np.zeros(rows.num_rows, np.int32), columns)
    label = (rows["label"].to_numpy() > 0).astype(np.float32)
    learn = np.arange(rows.num_rows) < parts[0].num_rows
    feature = TargetRate(fields, pairs=True, prior=2.0, folds=20)
    keys = row_keys(feature, frame)
    made = dict(rates_by_fold(feature, keys, label, learn, seed=0))
    assert len(made) == 2 * (10 + 45)

    served = RateTable.build(feature, keys, label, learn).values(frame).row
    for name, column in made.items():
        np.testing.assert_allclose(served[name][~learn], column[~learn], rtol=1e-12, err_msg=name)

    inputs = Inputs(list(made), ["number"] * len(made), np.column_stack(list(made.values())).astype(np.float32))
    setting = BoostedTrees(trees=150, leaves=63, learning_rate=0.08, min_leaf=50, column_share=0.3)
    model = BoostedTreesModel(setting)
    model.fit(inputs.take(learn), label[learn])
    score = model.score(inputs.take(~learn)).astype(np.float64)
    assert roc_auc_score(label[~learn], score) > 0.967
    assert log_loss(label[~learn], score) < 0.166
