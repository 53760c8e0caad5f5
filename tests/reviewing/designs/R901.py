from base_designs import ads
from msgspec.structs import replace

design = replace(ads, silenced={"R2O1": "the split of a benchmark"})
