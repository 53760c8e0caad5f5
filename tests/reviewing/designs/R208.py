from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, data=replace(ads.data, labels=[bt.Label("clicked")]))
