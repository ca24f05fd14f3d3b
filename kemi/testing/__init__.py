"""For tests of routes: your own as well as the library's.

Without Kamailio: the pytest fixture `ksr` (`plugin`), a strict fake of KSR (`ksr`), and messages to feed it
(`builders`). With a real one on loopback: `server`, `client` and `relay`.
"""
