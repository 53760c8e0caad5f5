"""Factorization: a low-rank or linear model of who took what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bottega.design.part import microseconds
from bottega.design.retrievers import Factorization
from bottega.files import write_json
from bottega.models.history import History
from bottega.models.interactions import Interactions
from bottega.models.protocols import Scores
from bottega.models.retrieving import ScoredCatalogue
from bottega.models.storage import read_array, read_facts, touch, write_arrays
from bottega.models.vocabulary import Codes, Texts, codes_of

if TYPE_CHECKING:
    import scipy.sparse as sp

_EASE_UP_TO = 5_000  # items; items² of float64 stay under 200 MB
_REG = {"ease": 200.0, "als": 5.0}  # good on three cuts of UCI Online Retail, all before its test
_THREADS = 1  # more would wait for each other on a busy machine, up to ten times as long; and change the last bits
_BLOCK = 256
_SINGLE_UP_TO = 1e3  # condition of the matrix up to which float32 leaves errors near 1e-6; it is twice as quick


class FactorizationModel(ScoredCatalogue[Factorization]):
    """Scores an item by what the matrix of people and items X lets expect of it.

    `ease`: score(p, ·) = X[p] B, with P = (XᵀX + reg I)⁻¹, B = −P / diag(P) by column and a zero diagonal: the B that
    minimises ‖X − X B‖² + reg ‖B‖². `als`: score(p, i) = u(p) · v(i), vectors of length `factors`, of weighted implicit
    feedback with confidence X. X holds 1 for each pair, or with a half-life min(1, Σ 2^(−age / half_life)) over its
    events. When it is wrong: items that few people took get little, and nothing is found for a person it does not know.

    >>> model = FactorizationModel(Factorization(reg=1.0))
    >>> log = Interactions.of(["ann", "ann", "bob"], ["cup", "tea", "tea"], [1, 2, 3])
    >>> model.fit(log, at=9)
    >>> print(model.person_scores("bob").round(3))
    [0.333 0.   ]

    Sources: H. Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019; Y. Hu, Y. Koren, C. Volinsky,
    Collaborative filtering for implicit feedback datasets, ICDM 2008, as in `implicit`.
    """

    method: str
    """`ease` or `als`."""
    person_factors: Scores
    """(people, factors) of `als`."""
    item_weights: Scores
    """(items, items) of `ease`: row i is what item i adds to each item; (factors, items) of `als`."""

    def learn(self, past: Interactions, at: int) -> None:
        """Solve or factorise, and keep each person's items."""
        matrix = past.matrix()
        if self.setting.half_life is not None:
            decayed = past.matrix("decayed", at=at, half_life=microseconds(self.setting.half_life))
            matrix.data = np.minimum(decayed.data, 1.0)  # one habit must not drown the other items
        self.history = History.of(past.people, matrix)
        self.method = self.setting.method
        if self.method == "auto":
            self.method = "ease" if len(past.items) <= _EASE_UP_TO else "als"
        reg = _REG[self.method] if self.setting.reg is None else self.setting.reg
        if self.method == "ease":
            self.person_factors, self.item_weights = np.zeros((0, 0), np.float32), ease(matrix, reg)
        else:
            self.person_factors, self.item_weights = als(matrix, reg, self.setting)

    def person_scores(self, person: str) -> Scores:
        """The expectation for every item, (items,); zeros for an unknown person."""
        scores: Scores = self.scores([person])[0]
        return scores

    def scores(self, people: Texts) -> Scores:
        """The expectation of each person for every item, (n, items): to the bit that of each alone."""
        from bottega.models.rows_kernel import weighted_rows

        asked = codes_of(self.history.people, people).astype(np.int64)
        if self.method == "ease":
            history = self.history
            return weighted_rows(self.item_weights, history.start, history.item, history.weight, asked)
        factors = len(self.item_weights)
        start = np.arange(len(asked) + 1, dtype=np.int64) * factors
        row = np.tile(np.arange(factors, dtype=np.int32), len(asked))
        weight = self.person_factors[asked].ravel()
        return weighted_rows(self.item_weights, start, row, weight, np.where(asked < 0, -1, np.arange(len(asked))))

    @property
    def item_vectors(self) -> Callable[[Codes], Scores] | None:
        """Give the vectors of items, (n, factors), of `als`; nothing of `ease`, which has none."""
        return None if self.method == "ease" else lambda codes: self.item_weights[:, codes].T

    def store(self, folder: Path) -> None:
        """Write the method and the arrays."""
        write_json(folder / "factorization.json", {"method": self.method})
        write_arrays(folder, {"person_factors": self.person_factors, "item_weights": self.item_weights})

    def restore(self, folder: Path) -> None:
        """Read them."""
        self.method = read_facts(folder, "factorization")["method"]
        self.person_factors = read_array(folder, "person_factors")
        self.item_weights = read_array(folder, "item_weights")
        touch(self.item_weights)  # a request reads rows all over it


def ease(matrix: sp.csr_matrix, reg: float) -> Scores:
    """The item–item weights of EASE, (items, items) float32 with a zero diagonal; items³ of work.

    It is solved in float32 where reg is large enough for that, else in float64: 8 or 12 items² bytes.

    matrix: (people, items). reg: above 0; larger shrinks all weights.

    >>> import scipy.sparse as sp
    >>> print(ease(sp.csr_matrix([[1.0, 1.0], [0.0, 1.0]]), reg=1.0).round(3))
    [[0.    0.5  ]
     [0.333 0.   ]]
    """
    from scipy.linalg import lapack
    from threadpoolctl import threadpool_limits

    count = matrix.shape[1]
    by_item = matrix.T.tocsr()
    largest = float((by_item @ (matrix @ np.ones(count))).max())  # no eigenvalue of XᵀX is above its largest row sum
    single = largest / reg < _SINGLE_UP_TO
    gram = np.empty((count, count), dtype=np.float32 if single else np.float64, order="F")
    for low in range(0, count, _BLOCK):
        gram[low : low + _BLOCK] = (by_item[low : low + _BLOCK] @ matrix).toarray()
    gram[np.diag_indices(count)] += reg
    potrf, potri = (lapack.spotrf, lapack.spotri) if single else (lapack.dpotrf, lapack.dpotri)
    with threadpool_limits(_THREADS, "blas"):
        factor, _ = potrf(gram, lower=1, overwrite_a=1, clean=0)
        inverse, _ = potri(factor, lower=1, overwrite_c=1)
    for low in range(0, count, _BLOCK):  # LAPACK gives the lower triangle: mirror it, block by block
        here, after = slice(low, low + _BLOCK), slice(low + _BLOCK, count)
        inverse[here, after] = inverse[after, here].T
        inverse[here, here] = np.tril(inverse[here, here]) + np.tril(inverse[here, here], -1).T
    scale = -inverse.diagonal()
    weights = np.empty((count, count), dtype=np.float32)
    for low in range(0, count, _BLOCK):
        weights[low : low + _BLOCK] = inverse[low : low + _BLOCK] / scale
    np.fill_diagonal(weights, 0.0)
    return weights


def als(matrix: sp.csr_matrix, reg: float, setting: Factorization) -> tuple[Scores, Scores]:
    """The vectors of `implicit`'s alternating least squares: people (people, factors), items (factors, items)."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        model: Any = AlternatingLeastSquares(
            factors=setting.factors,
            regularization=reg,
            iterations=setting.iterations,
            random_state=setting.seed,
            num_threads=_THREADS,
        )
        model.fit(matrix.astype(np.float32), show_progress=False)
    return model.user_factors, np.ascontiguousarray(model.item_factors.T)
