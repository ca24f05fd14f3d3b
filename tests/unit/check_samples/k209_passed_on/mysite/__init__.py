from .base import Base, look_up
from .names import Router

__all__ = ["Base", "Router", "look_up"]
