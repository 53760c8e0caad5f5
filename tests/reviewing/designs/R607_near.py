from base_designs import shop
from msgspec.structs import replace

import bottega as bt

PATH = [bt.Retrieve(k=60), bt.Rank(budget_ms=25), bt.Explore(epsilon=0.001), bt.Show(k=10)]
design = replace(shop, serving=replace(shop.serving, path=PATH))
