"""The account of a run of the laboratory: SIP ladders from its captures, and a page to look at."""
