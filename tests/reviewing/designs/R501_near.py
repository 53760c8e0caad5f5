from base_designs import ads
from msgspec.structs import replace

design = replace(ads, evaluation=replace(ads.evaluation, primary="pr_auc", metrics=["roc_auc"]))
