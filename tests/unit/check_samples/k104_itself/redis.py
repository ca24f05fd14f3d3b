from redis import Redis  # expect: K104

print(Redis)
