"""The compiled loops of `diversify`; in a module of its own, so that Numba is imported only where it is used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

LEAST = 1e-6  # of an item that those above do not explain: below it float32 vectors cannot tell


@compiled
def similarities(codes: Places, vectors: npt.NDArray[np.float32], place: int, result: Array) -> None:
    """Fill `result` (m,) with the similarity of each item to one: the mean over features and the cosine."""
    features, m = codes.shape
    dimensions = len(vectors)
    result[:] = 0.0
    if dimensions:
        cosine = np.zeros(m, np.float32)
        for dimension in range(dimensions):
            part = vectors[dimension, place]
            for other in range(m):
                cosine[other] += part * vectors[dimension, other]
        result[:] = cosine
    for feature in range(features):
        code = codes[feature, place]
        if code >= 0:
            for other in range(m):
                result[other] += codes[feature, other] == code
    result /= features + (dimensions > 0)


@compiled
def greedy(
    relevance: Array, codes: Places, vectors: npt.NDArray[np.float32], weight: float, places: int, determinant: bool
) -> tuple[Places, Places, Array]:
    """Choose items for the first places one after another; the others follow in their order.

    relevance: (m,) 0 to 1. codes: (features, m), equal values have equal codes, null −1. vectors: (d, m) of length 1,
    or d = 0. determinant: DPP, by a growing Cholesky factor (Chen, Zhang and Zhou, Fast Greedy MAP Inference for
    Determinantal Point Process, NeurIPS 2018); else MMR (Carbonell and Goldstein, SIGIR 1998).
    Returns the order (m,), and for each item the likest one chosen before it with their similarity (m,), −inf: none.
    """
    m = len(relevance)
    order, nearest = np.empty(m, np.int64), np.full(m, -1, np.int64)
    alike, left = np.full(m, -np.inf), np.ones(m)  # left: the squared part of an item that is not explained
    factor = np.zeros((places if determinant else 0, m))
    near = np.empty(m)
    chosen = np.zeros(m, np.bool_)
    for step in range(places):
        best, most = -1, -np.inf
        for place in range(m):
            if not chosen[place]:
                value = (1.0 - weight) * relevance[place]
                if determinant:
                    if best < 0 or value > most:  # the logarithm is 0 at most
                        value += weight * np.log(max(left[place], LEAST))
                elif step:
                    value -= weight * alike[place]
                if best < 0 or value > most:
                    best, most = place, value
        chosen[best] = True
        order[step] = best
        similarities(codes, vectors, best, near)
        for place in range(m):
            if not chosen[place] and near[place] > alike[place]:
                alike[place], nearest[place] = near[place], best
        if determinant and left[best] > LEAST:
            for above in range(step):
                part = factor[above, best]
                if part != 0.0:
                    for place in range(m):
                        near[place] -= part * factor[above, place]
            scale = 1.0 / np.sqrt(left[best])
            for place in range(m):
                factor[step, place] = near[place] * scale
                left[place] -= factor[step, place] ** 2
    filled = places
    for place in range(m):
        if not chosen[place]:
            order[filled] = place
            filled += 1
    return order, nearest, alike
