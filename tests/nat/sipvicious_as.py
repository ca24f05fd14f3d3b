"""Run a tool of sipvicious under another User-Agent than "friendly-scanner", which its command line cannot change.

python sipvicious_as.py "Some Phone 1.0" svmap ARGUMENTS
"""

import functools
import importlib
import signal
import sys


def main() -> None:
    # Ctrl-C makes a tool report what it has; a shell in the background starts its commands deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    user_agent, name, *arguments = sys.argv[1:]
    tool = importlib.import_module(f"sipvicious.{name}")
    vars(tool)["makeRequest"] = functools.partial(tool.makeRequest, useragent=user_agent)
    sys.argv = [name, *arguments]
    tool.main()


if __name__ == "__main__":
    main()
