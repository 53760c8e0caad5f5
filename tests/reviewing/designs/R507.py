from base_designs import ads
from msgspec.structs import replace

import bottega as bt

GOALS = [*ads.evaluation.goals, bt.Goal("roc_auc", at_least=0.5)]
design = replace(ads, evaluation=replace(ads.evaluation, goals=GOALS))
