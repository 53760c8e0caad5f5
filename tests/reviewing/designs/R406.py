from base_designs import ads
from msgspec.structs import replace

design = replace(ads, data=replace(ads.data, position=None))
