def is_premium(:  # expect: K101
    pass
