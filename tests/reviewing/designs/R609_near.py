from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    serving=replace(ads.serving, workers=1),
    scope=replace(ads.scope, limits=bt.Limits(p99_ms=20, availability=0.99)),
)
