from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    data=replace(
        ads.data,
        tables=[
            *ads.data.tables,
            bt.Table("users", "users.parquet", key="user", personal=["email"], licence="consent, kept for a year"),
        ],
    ),
)
