from base_designs import ads
from msgspec.structs import replace

design = replace(ads, scope=replace(ads.scope, traffic=None))
