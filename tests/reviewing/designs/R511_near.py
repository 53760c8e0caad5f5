from base_designs import shop
from msgspec.structs import replace

import bottega as bt

ORDERS = bt.Experiment("orders per visit", unit="customer", minimum_effect=0.02)
design = replace(shop, evaluation=replace(shop.evaluation, experiment=ORDERS))
