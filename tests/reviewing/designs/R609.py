from base_designs import ads
from msgspec.structs import replace

design = replace(ads, serving=replace(ads.serving, workers=1))
