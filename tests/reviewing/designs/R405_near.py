from base_designs import ads
from msgspec.structs import replace

import bottega as bt

RANKED = replace(ads.evaluation, primary="ndcg@4", goals=[bt.Goal("ndcg@4", above="HistoricalRate")])
WATCHED = replace(ads.monitoring, watches=[bt.Watch("ndcg@4", at_least=0.3)])
LEARNERS = [bt.BoostedTrees(name="Pointwise"), bt.BoostedTrees(objective="lambdarank")]
design = replace(
    ads,
    data=replace(ads.data, position=bt.InversePropensity("position")),
    models={"rank": [bt.HistoricalRate(by="ad"), *LEARNERS]},
    evaluation=RANKED,
    monitoring=WATCHED,
)
