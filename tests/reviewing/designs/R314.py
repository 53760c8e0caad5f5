from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads, data=replace(ads.data, examples=bt.Logged("shown", request=["user", "device", "basket"], candidate="ad"))
)
