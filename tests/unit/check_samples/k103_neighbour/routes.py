from numbers_of_ours import is_premium, is_free  # expect: K103

print(is_premium, is_free)
