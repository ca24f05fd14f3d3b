def is_premium(number):
    return number.startswith("0900")
