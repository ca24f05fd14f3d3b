"""Attributes of a router of one's own, set here, there, and by those who derive from it."""

from kemi.features import Features
from kemi.request import Request
from kemi.router import Router
from kemi.settings import Settings
from kemi.verdict import Reply, Verdict


class Counting(Router):
    limit = 3
    served: int = 0

    def __init__(self, settings: Settings, features: Features) -> None:
        super().__init__(settings, features)
        self._names, self.numbers = {"alice"}, [1]

    def start(self, rank: int) -> None:
        super().start(rank)
        with open("/dev/null") as self.file:
            self.rank = rank

    def register(self, request: Request) -> Verdict | None:
        self.served += 1
        if self.served > self.limit and self._names and self.numbers:
            return Reply(503, f"{self.file} {self.rank} {self.__class__.__name__} {self.settings.router}")
        return super().register(request)


class Dynamic(Router):
    def start(self, rank: int) -> None:
        vars(self).update(number=rank)

    def register(self, request: Request) -> Verdict | None:
        return Reply(503, str(self.number)) if request.is_register else None


class Template(Router):
    def refuse_strangers(self, request: Request) -> Verdict | None:
        return self.answer


class Polite(Template):
    answer = Reply(403, "Sorry")
