from base_designs import shop
from msgspec.structs import replace

design = replace(shop, evaluation=replace(shop.evaluation, metrics=["recall@100"]))
