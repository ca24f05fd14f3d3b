from mysite import Base, Round, Router


class Routes(Base):
    def register(self, request):
        return super().register(request)


class Others(Router):
    def register(self, request):
        return super().register(request)


class Rest(Round):
    def register(self):
        """Nobody knows what this is."""
