"""The compiled integrals of `thompson_chances`; in a module of its own, so that Numba is imported only where needed.

All run from above: from the highest value that an item may draw down to the lowest that one of the first k still may,
panel by panel, each with five points of Gauss's rule.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled

Array = npt.NDArray[np.float64]

_POINTS, _SHARES = (each[::-1].copy() for each in np.polynomial.legendre.leggauss(5))  # on −1..1, the highest first
_POWERS = np.arange(1, 6)
# _ABOVE[i] @ values is the integral from point i to 1 of the polynomial through the five values
_ABOVE = ((1 - _POINTS[:, None] ** _POWERS) / _POWERS) @ np.linalg.inv(_POINTS[:, None] ** (_POWERS - 1))
DROP = 18.0  # of ln(density) below its highest, where an item counts no more
STEP = 1.5  # widths of the narrowest density in a panel
PASSED = 1.2  # items that are expected to draw a value in one panel
LEAST = 1e-12  # chance


@compiled
def softplus(t: float) -> float:
    """Give ln(1 + e^t)."""
    return max(t, 0.0) + math.log1p(math.exp(-abs(t)))


@compiled
def reaches(first: Array, second: Array, beta: bool) -> tuple[Array, Array, Array]:
    """Give from where to where each item's density counts, and its width, (m,) each."""
    m, far = len(first), math.sqrt(2 * DROP)
    low, high, width = np.empty(m), np.empty(m), np.empty(m)
    for item in range(m):
        a, b = first[item], second[item]
        if not beta:
            width[item], low[item], high[item] = b, a - far * b, a + far * b
            continue
        middle, width[item] = math.log(a / b), math.sqrt(1 / a + 1 / b)
        highest = a * middle - (a + b) * softplus(middle)
        for side in (-1.0, 1.0):
            reach = far * width[item]
            for _ in range(4):  # of Newton; the drop is convex, so that after the first step it is never too near
                t = middle + side * reach
                drop = highest - a * t + (a + b) * softplus(t)
                reach -= (drop - DROP) / (side * ((a + b) / (1 + math.exp(-t)) - a))
            if side < 0:
                low[item] = middle - reach
            else:
                high[item] = middle + reach
    return low, high, width


@compiled
def panel(edge: float, low: Array, high: Array, width: Array) -> float:
    """Give the size of the panel below an edge: as small as the narrowest item in it asks."""
    size, following = np.inf, -np.inf
    for item in range(len(low)):
        if high[item] < edge:
            following = max(following, high[item])
        elif low[item] < edge:
            size = min(size, STEP * width[item])
    if size == np.inf:  # nobody draws from here to the next one
        return edge - following
    for item in range(len(low)):
        if edge - size < high[item] < edge:
            size = min(size, max(edge - high[item], STEP * width[item]))
    return size


@compiled
def integrands(
    first: Array, second: Array, beta: bool, low: Array, high: Array, width: Array, k: int
) -> tuple[Array, Array, Array]:
    """Give each point's weight, (g,), the density of the first k items there, (g, k), and P(item > point), (g, m)."""
    m, end, edge, most, points = len(first), low[:k].min(), high.max(), np.inf, 0
    weights, density, above = np.empty(512), np.empty((512, k)), np.empty((512, m))
    gone, constant, values = np.zeros(m), np.empty(m), np.empty(5)
    place, bend, drawn = np.empty(5), np.empty(5), np.empty(m)
    for item in range(m):
        a, b = first[item], second[item]
        constant[item] = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) if beta else 0.0
        constant[item] -= 0.0 if beta else math.log(b * math.sqrt(2 * math.pi))
    while edge > end:
        passed = gone.sum()
        if passed > k and (passed - k) ** 2 > 2 * DROP * passed:
            break  # below, k others draw more than any of the first k
        size = min(panel(edge, low, high, width), edge - end)
        if most < size:
            size = most
        if points + 5 > len(weights):
            weights, density = np.concatenate((weights, weights)), np.concatenate((density, density))
            above = np.concatenate((above, above))
        for point in range(5):
            place[point] = edge - size / 2 * (1 - _POINTS[point])
            weights[points + point] = size / 2 * _SHARES[point]
            bend[point] = softplus(place[point]) if beta else 0.0
        drawn[:] = 0.0
        for item in range(m):
            a, b = first[item], second[item]
            inside = low[item] < edge and high[item] > edge - size
            for point in range(5):
                values[point] = 0.0
                if inside:
                    power = a * place[point] - (a + b) * bend[point] if beta else -(((place[point] - a) / b) ** 2) / 2
                    values[point] = math.exp(power + constant[item])
                    drawn[item] += values[point] * weights[points + point]
                if item < k:
                    density[points + point, item] = values[point]
            for point in range(5):
                total = gone[item]
                if inside:
                    for other in range(5):
                        total += size / 2 * _ABOVE[point, other] * values[other]
                above[points + point, item] = min(max(total, 0.0), 1.0)
        together = drawn.sum()
        if together > PASSED and drawn.max() < together / 2:
            most = size / 2  # too many for one panel
            continue
        most = size * min(max(0.6 * PASSED / max(together, 0.1), 0.5), 2.0)
        edge -= size
        points += 5
        for item in range(m):
            gone[item] = 1.0 if low[item] >= edge else gone[item] + drawn[item]
    return weights[:points].copy(), density[:points].copy(), above[:points].copy()


@compiled
def in_place(weights: Array, density: Array, above: Array) -> Array:
    """Give the chance that each of the first k items is beaten by as many others as stand above it, (k,)."""
    k, m = density.shape[1], above.shape[1]
    chances, count, after = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for point in range(len(weights)):
        count[:] = 0.0  # P(so many of the items that are not shown draw more)
        count[0] = 1.0
        most = 0
        for item in range(k, m):
            chance = above[point, item]
            if chance > LEAST:
                most = min(most + 1, k - 1)
                for beaten in range(most, 0, -1):
                    count[beaten] += chance * (count[beaten - 1] - count[beaten])
                count[0] *= 1 - chance
        after[k - 1, 0] = 1.0  # row i: the same of the shown items after i
        for item in range(k - 2, -1, -1):
            chance = above[point, item + 1]
            after[item, 0] = after[item + 1, 0] * (1 - chance)
            for beaten in range(1, min(item + 1, k - item)):  # more is not asked for
                after[item, beaten] = after[item + 1, beaten] * (1 - chance) + after[item + 1, beaten - 1] * chance
        for item in range(k):  # here `count` holds the shown items before this one too
            here = 0.0
            for beaten in range(max(2 * item - k + 1, 0), item + 1):
                here += count[beaten] * after[item, item - beaten]
            chances[item] += weights[point] * density[point, item] * here
            chance = above[point, item]
            if chance > LEAST:
                for beaten in range(k - 1, 0, -1):
                    count[beaten] += chance * (count[beaten - 1] - count[beaten])
                count[0] *= 1 - chance
    return np.minimum(np.maximum(chances, LEAST), 1.0)


@compiled
def in_turn(weights: Array, density: Array, above: Array) -> Array:
    """Give the chance of each of the first k items in its place given those above it, (k,)."""
    points, k = density.shape
    below = np.ones((k, points))  # row i: P(all items after i draw less)
    for item in range(above.shape[1] - 1, 0, -1):
        row = min(item - 1, k - 1)
        if item < k:
            below[row] = below[row + 1]
        for point in range(points):
            below[row, point] *= 1 - above[point, item]
    chances, beaten, following = np.zeros(k), np.ones(points), np.empty(points)
    for item in range(k):  # `beaten`: P(X_1 > … > X_item-1 > point), over the chance of this beginning of the list
        chance = 0.0
        for point in range(points):
            chance += weights[point] * density[point, item] * beaten[point] * below[item, point]
        chances[item] = min(max(chance, LEAST), 1.0)
        gone = 0.0
        for start in range(0, points, 5):
            half, total = weights[start] / _SHARES[0], 0.0
            for point in range(start, start + 5):
                passed = gone
                for other in range(5):
                    passed += half * _ABOVE[point - start, other] * density[start + other, item] * beaten[start + other]
                following[point] = max(passed, 0.0) / chances[item]
                total += weights[point] * density[point, item] * beaten[point]
            gone += total
        beaten[:] = following
    return chances
