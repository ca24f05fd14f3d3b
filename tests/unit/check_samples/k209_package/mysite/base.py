from . import Site


class Base(Site):
    pass
