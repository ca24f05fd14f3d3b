from kemi.router import Router


class Routes(Router):
    def register(self, request, contact):  # expect: K209
        return None

    def on_any_reply(self):  # expect: K209
        pass
