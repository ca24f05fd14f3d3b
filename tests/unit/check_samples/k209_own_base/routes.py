import time

from base import Base


class Routes(Base):
    def register(self):  # expect: K209
        return None

    def to_pstn(self, request):
        if request.nope:  # expect: K210
            time.sleep(1)  # expect: K702
        return super().to_pstn(request)

    def in_dialogue(self, request):  # expect: K208
        return None
