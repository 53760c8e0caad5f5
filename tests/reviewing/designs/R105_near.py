from base_designs import payments
from msgspec.structs import replace

design = replace(payments, scope=replace(payments.scope, error_costs={"missed fraud": 40}))
