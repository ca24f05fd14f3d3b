from kemi.router import Router

__all__ = ["Router"]
