from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, scope=replace(ads.scope, objective=bt.Objective("complaints a day", "down")))
