return  # expect: K101
