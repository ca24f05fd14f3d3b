"""Many small functions, written out as one.

A rule is a small function, and so is each method of :class:`kemi.request.Request` that it calls. That reads well, but a
call costs Python as much as what Kamailio then does. So the library's own functions are written out where they are
called, as a compiler inlines: a request then takes two or three calls of Python functions instead of forty.

What is taken for granted is what cannot change while these routes serve: code, what the names of modules stand for,
frozen dataclasses, and the attributes that the caller lists. Conditions on these are decided beforehand. A user's own
functions, those marked :func:`kemi.flat.seldom.seldom`, and those with what is not understood here (loops, lambdas,
``super()``) stay calls.

:mod:`kemi.plan` uses it; ``kemi plan REGISTER`` shows what comes of it.
"""
