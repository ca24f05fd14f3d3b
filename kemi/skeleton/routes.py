"""Your rules, on top of Kamailio's stock configuration. kemi.yaml names the class."""

from kemi.request import Request
from kemi.router import Router
from kemi.verdict import Reply, Verdict

NOBODY = Reply(604, "Does Not Exist Anywhere")


class Routes(Router):
    # A rule takes the request and returns a verdict, which ends the decision, or None, for "no opinion".
    # Router.rules() has all of them in their order. Override one, as below, or add your own to the list:
    #
    #     def rules(self) -> tuple[Rule, ...]:
    #         *before, last = super().rules()
    #         return (*before, self.my_rule, last)

    def to_registered_contacts(self, request: Request) -> Verdict | None:
        """The last rule: find the phones of whoever is called. Nobody is called "nobody"."""
        if request.uri_user == "nobody":
            return NOBODY
        return super().to_registered_contacts(request)
