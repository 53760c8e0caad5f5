from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, features=[*ads.features, bt.Lookup("shown", by="ad", columns=["device"], ttl="7d")])
