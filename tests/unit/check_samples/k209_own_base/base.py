from kemi.router import Router


class Base(Router):
    pass
