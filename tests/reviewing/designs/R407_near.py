from base_designs import shop
from msgspec.structs import replace

import bottega as bt

design = replace(shop, models={**shop.models, "retrieve": [bt.CoPurchase(), bt.Popularity()]})
