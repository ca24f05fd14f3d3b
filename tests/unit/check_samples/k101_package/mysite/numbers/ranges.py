from ..prefixes import PREMIUM

RANGES = [PREMIUM]
