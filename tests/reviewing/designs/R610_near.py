from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    models={"rank": [*ads.models["rank"], bt.DCN()]},
    evaluation=replace(ads.evaluation, tolerance=0.0005),
    serving=replace(ads.serving, compress=[bt.Quantize(tolerance=0.0005)]),
)
