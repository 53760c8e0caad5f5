from base_designs import ads
from msgspec.structs import replace

design = replace(ads, evaluation=replace(ads.evaluation, experiment=None))
