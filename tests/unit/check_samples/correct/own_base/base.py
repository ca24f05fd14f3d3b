from kemi.router import Router


class Base(Router):
    def refuse_premium(self, request, number=None):
        return None


class Number:
    def register(self):
        """No rule: a number tells the world of itself."""
