from base_designs import shop
from msgspec.structs import replace

design = replace(
    shop,
    scope=replace(shop.scope, objective=None),
    evaluation=replace(shop.evaluation, experiment=None),
)
