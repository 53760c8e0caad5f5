from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, features=[bt.Lookup("ads", by="ad", columns=["advertiser", "size"])])
