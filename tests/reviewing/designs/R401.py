from base_designs import ads
from msgspec.structs import replace

import bottega as bt

design = replace(
    ads,
    models={"rank": [bt.DCN()]},
    evaluation=replace(ads.evaluation, goals=[bt.Goal("log_loss", at_most=0.5), *ads.evaluation.goals[1:]]),
)
