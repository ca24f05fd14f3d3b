from kemi.verdict import (
    Reply,
    Refuse,  # expect: K103
)

print(Reply, Refuse)
