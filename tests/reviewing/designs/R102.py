from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, scope=replace(ads.scope, limits=bt.Limits(availability=0.999)))
