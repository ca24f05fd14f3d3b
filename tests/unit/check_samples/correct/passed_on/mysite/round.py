from . import Round as Round
