import KSR

from kemi.router import Router


class Routes(Router):
    def to_registered_contacts(self, request):
        KSR.tm.t_on_failure("try_again")  # expect: K201
        return super().to_registered_contacts(request)

    def try_again(self, msg):
        return 1
