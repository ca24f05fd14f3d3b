"""Two modules that import each other's names."""

from .base import Base as Base
from .names import Router as Router
from .round import Round as Round
