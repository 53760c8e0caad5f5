from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    features=[
        bt.Categories(["device"]),
        bt.Window("shown", by="ad", over=["1d"], values={"rows": "count(*)"}),
    ],
)
