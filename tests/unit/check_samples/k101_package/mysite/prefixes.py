PREMIUM = = '0900'  # expect: K101
