"""What the laboratory raises."""


class LabError(Exception):
    """The laboratory could not do what was asked; the message says where, what was expected and what was found."""


class NotProvenError(LabError):
    """A gateway's NAT is not what it claims to be."""
