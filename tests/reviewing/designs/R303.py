from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    data=replace(
        ads.data,
        tables=[
            bt.Table("shown", "shown.parquet", time="at", licence="made up", available_after="1d"),
            bt.Table("ads", "ads.parquet", key="ad"),
        ],
    ),
    features=[bt.Window("shown", by="ad", over=["7d", "12h"], values={"rate": "avg(clicked)"})],
)
