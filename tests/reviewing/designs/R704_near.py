from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, monitoring=replace(ads.monitoring, retrain=bt.Retrain(every="1d", rollout=[bt.Shadow()])))
