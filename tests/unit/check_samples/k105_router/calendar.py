from kemi.router import Router


class Routes(Router):
    pass
