from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    serving=replace(ads.serving, log=False),
    monitoring=bt.Monitoring(),
    evaluation=replace(ads.evaluation, goals=[]),
)
