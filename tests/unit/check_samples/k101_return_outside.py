import KSR

KSR.info("loaded\n")
return 1  # expect: K101
