from base_designs import shop
from msgspec.structs import replace

import bottega as bt

design = replace(
    shop, evaluation=replace(shop.evaluation, slices=[], goals=[bt.Goal("ndcg@10", at_least=0.1, slices=["cold"])])
)
