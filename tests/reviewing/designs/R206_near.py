from base_designs import payments
from msgspec.structs import replace

import bottega as bt

design = replace(
    payments,
    data=replace(payments.data, labels=[bt.Label("fraud", matures_after="1d", censored_when="decided = 'held'")]),
)
