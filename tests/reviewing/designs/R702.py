from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads, monitoring=replace(ads.monitoring, watches=[*ads.monitoring.watches, bt.Watch("log_los", at_most=0.9)])
)
