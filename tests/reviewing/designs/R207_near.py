from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    data=replace(
        ads.data,
        tables=[
            bt.Table("shown", "shown.parquet", time="at", personal=["user"], licence="contract; kept for a year"),
            bt.Table("ads", "ads.parquet", key="ad"),
        ],
    ),
)
