"""The loss of a batch: each positive against the other items of the batch, corrected for how often those come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Loss(NamedTuple):
    """The loss of some rows, and its slopes by people (n, d), items (m, d) and own (n, h, d)."""

    loss: Tensor
    by_people: Tensor
    by_items: Tensor
    by_own: Tensor


def softmax_slopes(
    people: Tensor,
    items: Tensor,
    place: Tensor,
    many: Tensor,
    often: Tensor,
    own: Tensor,
    own_often: Tensor,
    weight: Tensor,
    temperature: float,
    hide: Callable[[Tensor], None],
) -> Loss:
    """The loss of some rows of a batch and its slopes, worked out by hand: a third of the passes of autograd's.

    logit(i, j) = ⟨uᵢ, vⱼ⟩ / temperature − often(j) over the items j of the whole batch and the row's own negatives;
    loss = Σᵢ wᵢ (log Σⱼ many(j) e^logit(i, j) − logit(i, place(i))), where many counts for 1 at the row's own place.

    people: (n, d) the rows' vectors. items: (m, d) of the whole batch, each once. place: (n, 1) which of them each row
    is told from the others. many: (m,) the logarithm of how many rows of the batch have it. often: (m,) that of how
    often it comes in a batch; zeros for no correction. own: (n, h, d) of each row's own negatives. own_often: (n, h) as
    often, infinite where there is none. weight: (n,). hide: puts −∞ into the logits (n, m) that do not count; what it
    does at a row's own place is undone.

    Sources: Y. Bengio, J.-S. Senécal, Adaptive importance sampling, 2008; X. Yi et al., Sampling-bias-corrected neural
    modeling for large corpus item recommendations, RecSys 2019.
    """
    import torch

    logits = torch.addmm(many - often, people, items.T, alpha=1 / temperature)
    right = logits.gather(1, place) - many[place]
    hide(logits)
    logits.scatter_(1, place, right)
    hard = (own @ people[:, :, None])[:, :, 0] / temperature - own_often  # (n, h)
    top = torch.cat([logits.amax(1, keepdim=True), hard], 1).amax(1, keepdim=True)
    hard_share = hard.sub_(top).exp_()
    total = logits.sub_(top).exp_().sum(1, keepdim=True) + hard_share.sum(1, keepdim=True)
    loss = weight @ (total.log() + top - right)[:, 0]
    scale = weight[:, None] / (temperature * total)
    logits.scatter_add_(1, place, -total)  # times the scale, this is the slope by the products
    hard_slope = hard_share * scale
    by_people = (logits @ items).mul_(scale).add_((hard_slope[:, None] @ own)[:, 0])
    return Loss(loss, by_people, logits.T @ (people * scale), hard_slope[:, :, None] * people[:, None])
