from base_designs import shop
from msgspec.structs import replace

import bottega as bt

RISING = bt.Quota(where="product_buyers_7d > 5", at_least=5, first=10, name="rising")
QUIET = bt.Quota(where="product_buyers_7d < 2", at_least=5, first=10, name="quiet")
PATH = [bt.Retrieve(k=60), bt.Rank(budget_ms=25), RISING, QUIET, bt.Explore(epsilon=0.01), bt.Show(k=10)]
design = replace(shop, serving=replace(shop.serving, path=PATH))
