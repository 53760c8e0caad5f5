from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, features=[bt.Cross("user", "ad", buckets=2**18)])
