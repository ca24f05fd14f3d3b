"""The codes of findings. docs/checks.md has a section for each; a test keeps the two together."""

from __future__ import annotations

from dataclasses import dataclass

from kemi.check.finding import Severity


@dataclass(frozen=True)
class Code:
    """A kind of mistake: its title in the documentation, and how sure it is."""

    title: str
    severity: Severity = "error"


CODES = {
    # The file itself
    "K101": Code("syntax error"),
    "K102": Code("module not found"),
    "K103": Code("name not found in a module"),
    "K104": Code("module in the loaded file's folder hides one of Python's"),
    "K105": Code("another module has the name of the rules' module"),
    "K106": Code("file name cannot be imported"),
    "K107": Code("undefined name"),
    # Callbacks
    "K201": Code("callback does not exist"),
    "K202": Code("callback missing"),
    "K203": Code("callback takes other arguments"),
    "K204": Code("kamailio.cfg names a callback that does not exist"),
    "K205": Code("mod_init() missing, or without a result"),
    "K206": Code("child_init() missing, or without a number as result"),
    "K207": Code("callback is async"),
    "K208": Code("method looks like a misspelled rule"),
    "K209": Code("rule takes other arguments than the one it overrides"),
    "K210": Code("attribute that a request, reply or the like does not have"),
    "K211": Code("result of super() dropped"),
    # Functions of KSR
    "K301": Code("unknown KSR function"),
    "K302": Code("KSR function not in this Kamailio"),
    "K303": Code("module of a KSR function is not loaded"),
    "K304": Code("wrong number of arguments"),
    "K305": Code("argument of the wrong type"),
    "K306": Code("KSR function not called"),
    # What they answer, what callbacks return
    "K401": Code("number used as yes or no"),
    "K402": Code("number compared with True, False or None"),
    "K403": Code("yes or no compared with a negative number"),
    "K404": Code("callback returns something that is no number"),
    "K405": Code("exit inside a callback"),
    "K406": Code("exception leaves a callback", "warning"),
    "K407": Code("the start always fails"),
    # kamailio.cfg
    "K501": Code("app_python3 not loaded"),
    "K502": Code("no Python file to load"),
    "K503": Code("requests do not come to Python"),
    "K504": Code("location table not preloaded"),
    "K505": Code("native route never runs", "warning"),
    "K506": Code("module of a define not loaded"),
    "K507": Code("kamailio.cfg cannot be read"),
    "K508": Code("cfgengine names no language that is loaded"),
    "K509": Code("modparam before its loadmodule"),
    "K510": Code("Kamailio refuses a line"),
    # Settings
    "K601": Code("wrong settings"),
    "K602": Code("class of the rules not found"),
    # Costly, or at the wrong time
    "K701": Code("pseudo-variable name built at run time", "warning"),
    "K702": Code("blocking call while a message waits", "warning"),
    "K703": Code("socket, thread or connection made before the fork", "warning"),
    "K704": Code("KSR function called at import that needs a message"),
}
