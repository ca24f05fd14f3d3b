from kemi.router import Router


class Routes(Router):
    def to_registered_contact(self, request):  # expect: K208
        return super().to_registered_contacts(request)
