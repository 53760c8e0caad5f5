from base_designs import shop
from msgspec.structs import replace

design = replace(shop, serving=replace(shop.serving, log=False))
