from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, evaluation=replace(ads.evaluation, goals=[bt.Goal("predicted_over_observed", within=(0.9, 1.1))]))
