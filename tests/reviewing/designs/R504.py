from base_designs import payments
from msgspec.structs import replace

design = replace(payments, evaluation=replace(payments.evaluation, primary="ndcg@10"))
