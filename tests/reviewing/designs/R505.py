from base_designs import ads
from msgspec.structs import replace

import bottega as bt

PATH = [bt.Candidates(columns=["bid"]), bt.Rank(budget_ms=10), bt.Auction(budget=None, advertiser="ad_advertiser")]
design = replace(
    ads,
    evaluation=replace(ads.evaluation, goals=[bt.Goal("log_loss", below="HistoricalRate")]),
    serving=bt.Serving(path=PATH),
)
