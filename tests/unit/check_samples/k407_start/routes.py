from kemi.router import Router


class Routes(Router):
    def start(self, rank):
        raise ConnectionError("no database")  # expect: K407
