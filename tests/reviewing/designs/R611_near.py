from base_designs import payments
from msgspec.structs import replace

import bottega as bt

COSTS = {"approve": (0, 40), "review": (0.3, 10), "block": (1, 0)}
DECIDE = bt.Decide(["approve", "review", "block"], costs=COSTS)
design = replace(payments, serving=replace(payments.serving, path=[bt.Score(budget_ms=20), DECIDE]))
