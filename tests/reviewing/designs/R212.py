from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    data=replace(ads.data, split=bt.TimeSplit(validate="7d", test="2d")),
    monitoring=replace(ads.monitoring, retrain=bt.Retrain(every="1d", rollout=[bt.Shadow()])),
)
