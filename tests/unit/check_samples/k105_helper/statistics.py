def count_call(reply):
    pass
