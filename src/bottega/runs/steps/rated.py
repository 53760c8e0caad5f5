"""The tables of target rates at a moment, as a service would have had them then."""

from __future__ import annotations

import numpy as np

from bottega.data.examples import TRAIN, VALIDATE
from bottega.design.features import TargetRate
from bottega.features.rate_table import RateTable
from bottega.features.target_rates import rate_names, row_keys, usable_from
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.features import frame
from bottega.runs.steps.job import Job

MOMENTS = 10  # at which tables are counted anew; each costs a pass over all examples


class Rated:
    """The target rates of a design, to be counted as of any moment.

    names: of the columns that they make. places: of the features among those of the design.
    """

    def __init__(self, job: Job, rows: Examples) -> None:
        self.features = [part for part in job.design.features if isinstance(part, TargetRate)]
        self.places = [place for place, part in enumerate(job.design.features) if isinstance(part, TargetRate)]
        self.names = {name for part in self.features for name in rate_names(part)}
        self._label, self._left = rows.label, MOMENTS
        if not self.features:
            return
        asked = frame(rows, [])
        self._keys = [row_keys(part, asked) for part in self.features]
        self._known: np.ndarray | None = None
        if rows.more is not None and job.tables[job.design.data.examples.table].time is not None:
            self._known = usable_from(asked.time[rows.group], rows.more.final[job.design.data.labels[0].name])
        self._learnt = np.isin(rows.part, (TRAIN, VALIDATE))  # of examples without a time, as rated for the test

    def at(self, moment: int) -> tuple[RateTable, ...] | None:
        """Give the tables as of a moment, microseconds since 1970 UTC; nothing after `MOMENTS` of them.

        Examples without a time have one table, of what the last fit learns from.
        """
        if not self.features:
            return ()
        if self._known is not None:
            if self._left == 0:
                return None
            self._left -= 1
        counted = self._learnt if self._known is None else self._known <= moment
        return self._tables(counted)

    def end(self, moment: int) -> tuple[RateTable, ...]:
        """Give the tables that serve: of all examples whose label was final before a moment, or of all of them."""
        return self._tables(np.ones(len(self._label), bool) if self._known is None else self._known <= moment)

    def _tables(self, counted: np.ndarray) -> tuple[RateTable, ...]:
        pairs = zip(self.features, self._keys, strict=True)
        return tuple(RateTable.build(part, keys, self._label, counted) for part, keys in pairs)
