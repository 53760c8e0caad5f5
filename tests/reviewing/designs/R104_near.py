from base_designs import ads
from msgspec.structs import replace

import bottega as bt

WATCHES = [*ads.monitoring.watches, bt.Watch("coverage@4", at_least=0.2)]
design = replace(
    ads,
    scope=replace(ads.scope, guardrails=["coverage of the catalogue"]),
    evaluation=replace(ads.evaluation, experiment=None),
    monitoring=replace(ads.monitoring, watches=WATCHES),
)
