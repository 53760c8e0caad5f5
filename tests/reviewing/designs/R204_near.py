from base_designs import ads
from msgspec.structs import replace

import bottega as bt

LATE = bt.Label("clicked", matures_after="7d")
design = replace(ads, data=replace(ads.data, labels=[LATE], split=bt.TimeSplit(test="8d")))
