"""The loss of a batch: each positive against the other items of the batch, corrected for how often those come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def softmax_slopes(
    people: Tensor,
    items: Tensor,
    own: Tensor,
    weight: Tensor,
    often: Tensor,
    masked: Tensor,
    own_often: Tensor,
    temperature: float,
    first: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The loss of some rows of a batch and its slopes, worked out by hand: a third of the passes of autograd's.

    logit(i, j) = ⟨uᵢ, vⱼ⟩ / temperature − often(j) over the items j of the whole batch and the row's own negatives;
    loss = Σᵢ wᵢ (log Σⱼ e^logit(i, j) − logit(i, i)).

    people: (n, d) the rows' vectors. items: (b, d) of the whole batch, its row i the positive of row i. own: (n, h, d)
    of each row's own negatives. weight: (n,). often: (b,) the logarithm of how often an item comes in a batch; zeros
    for no correction. masked: places row · b + column that do not count. own_often: (n, h) the same of the own ones,
    infinite where there is none. first: row of the batch in which these begin. Gives the loss, and the slopes by
    people (n, d), items (b, d) and own (n, h, d).

    Sources: Y. Bengio, J.-S. Senécal, Adaptive importance sampling, 2008; X. Yi et al., Sampling-bias-corrected neural
    modeling for large corpus item recommendations, RecSys 2019.
    """
    import torch

    rows = torch.arange(len(people))
    logits = people @ items.T
    logits.mul_(1 / temperature).sub_(often)
    logits.view(-1)[masked] = -torch.inf
    hard = (own @ people[:, :, None])[:, :, 0] / temperature - own_often  # (n, h)
    right = logits[rows, first + rows]
    top = torch.cat([logits.max(1).values[:, None], hard], 1).max(1).values[:, None]
    total = (logits.sub_(top).exp_().sum(1) + (hard - top).exp().sum(1))[:, None]
    loss = (weight * (total.log() + top)[:, 0]).sub(weight * right).sum()
    scale = weight[:, None] / temperature
    logits.mul_(scale / total)
    logits[rows, first + rows] -= scale[:, 0]
    hard_slope = (hard - top).exp() * (scale / total)  # (n, h)
    by_people = logits @ items + (hard_slope[:, None] @ own)[:, 0]
    return loss, by_people, logits.T @ people, hard_slope[:, :, None] * people[:, None]
