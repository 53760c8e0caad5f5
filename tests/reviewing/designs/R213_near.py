from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, data=replace(ads.data, sampling=bt.Downsample(0.2)))
