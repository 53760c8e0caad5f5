from base_designs import ads

design = ads
