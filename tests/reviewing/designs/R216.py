from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    data=replace(
        ads.data,
        tables=[
            bt.Table("shown", "shown.parquet", time="at", licence="made up"),
            bt.Table("ads", "ads.parquet", key="ad"),
            bt.Table("users", "users.parquet", key="user"),
        ],
    ),
)
