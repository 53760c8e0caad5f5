from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, evaluation=replace(ads.evaluation, goals=[bt.Goal("normalized_entropy", at_most=0.95)]))
