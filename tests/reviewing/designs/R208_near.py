from base_designs import ads
from msgspec.structs import replace

import bottega as bt

COUNT = bt.Window("shown", by="ad", over=["7d"], values={"rows": "count(*)"})
design = replace(ads, data=replace(ads.data, labels=[bt.Label("clicked")]), features=[COUNT])
