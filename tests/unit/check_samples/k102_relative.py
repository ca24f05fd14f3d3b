from .helpers import allowed  # expect: K102

print(allowed)
