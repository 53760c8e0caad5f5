from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, scope=replace(ads.scope, traffic=bt.Traffic(daily_users=2_000)))
