"""The health of this container: does Kamailio answer an OPTIONS, over UDP and over TCP?"""

from __future__ import annotations

import os
import sys

from kemi.cli.probe import TRANSPORTS, answers

address, uri = os.environ["LISTEN_ADDRESS"], f"sip:{os.environ['SIP_DOMAIN']}"
silent = [transport for transport in TRANSPORTS if not answers(transport, address, 5060, uri)]
if silent:
    sys.exit(f"no answer to OPTIONS over {' and '.join(silent)} at {address}:5060")
