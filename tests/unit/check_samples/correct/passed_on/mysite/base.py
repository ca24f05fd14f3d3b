from kemi import edge


class Base(edge.Edge):
    pass
