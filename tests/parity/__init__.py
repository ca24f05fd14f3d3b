"""Does our server do, message by message, what Kamailio's own configuration does? `python -m tests.parity --help`."""
