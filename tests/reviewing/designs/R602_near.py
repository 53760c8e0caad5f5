from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(ads, serving=replace(ads.serving, path=[bt.Candidates(), bt.Rank(budget_ms=20), bt.Show(k=4)]))
