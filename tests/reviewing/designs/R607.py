from base_designs import shop
from msgspec.structs import replace

import bottega as bt

design = replace(shop, serving=replace(shop.serving, path=[bt.Retrieve(k=60), bt.Rank(budget_ms=25), bt.Show(k=10)]))
