def is_unknown(request):
return False  # expect: K101
