from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, features=[bt.Window("shown", by="ad", over=["7d"], values={"rate": "avg(clicked)"}, hop="exact")])
