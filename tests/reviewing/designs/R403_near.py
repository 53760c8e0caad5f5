from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads, models={**ads.models, "rank": [bt.HistoricalRate(by="ad"), bt.DCN(loss="focal", calibrate="platt")]}
)
