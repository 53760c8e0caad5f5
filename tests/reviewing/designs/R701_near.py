from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, monitoring=replace(ads.monitoring, watches=[bt.Watch("ece", at_most=0.02)]))
