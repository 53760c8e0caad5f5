from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    features=[
        bt.Categories(["device"]),
        bt.Window("shown", by="ad", over=["12h"], values={"rows": "count(*)"}),
    ],
)
