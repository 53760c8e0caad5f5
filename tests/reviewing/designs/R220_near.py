from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    data=replace(
        ads.data,
        tables=[bt.Table("shown", "shown.parquet", licence="made up")],
        examples=bt.Logged("shown", request=["user", "device", "visit"], candidate="ad"),
        split=bt.GroupSplit(by="user"),
    ),
    features=[bt.Categories(["user", "device", "ad"])],
)
