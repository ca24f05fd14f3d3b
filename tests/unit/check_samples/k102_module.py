import json

import pyyaml_typo  # expect: K102

try:
    import perhaps_not_installed
except ImportError:
    perhaps_not_installed = None

print(json, pyyaml_typo)
