from kemi.edge import Edge


class Site(Edge):
    pass
