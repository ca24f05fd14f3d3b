import mysite
from mysite import Base, look_up


class Routes(Base):
    def register(self):  # expect: K209
        return None

    def in_dialogue(self, request):  # expect: K208
        return None

    def to_pstn(self, request):
        look_up(request.uri_user)
        return super().to_pstn(request)


class Others(mysite.Router):
    def register(self):  # expect: K209
        return None
