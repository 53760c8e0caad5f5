from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    features=[bt.Given()],
    models={"rank": [bt.Logistic(), bt.BoostedTrees()]},
    evaluation=replace(ads.evaluation, goals=[bt.Goal("log_loss", below="Logistic"), *ads.evaluation.goals[1:]]),
)
