"""The media relay: the project's own launcher in the server's namespace, and questions to it."""

from pathlib import Path

from kemi.cli.relay import relay_command
from kemi.lab.network import Host
from kemi.lab.process import Process
from kemi.relay_control import RelayControl


class Relay:
    """RTPProxy on `host`, controlled on that host's loopback."""

    def __init__(self, host: Host, logs: Path) -> None:
        self.host = host
        self._logs = logs
        self._control = RelayControl("127.0.0.1", 7722, inside=host.namespace.entered)
        self.start()

    @property
    def control(self) -> str:
        """The control socket as Kamailio's configuration names it."""
        return self._control.url

    def start(self) -> None:
        """Start it (again) and wait until it answers. Raises LabError with its log when it does not start."""
        command = relay_command(self.control, self.host.address, "35000-36000", "--log-level=info")
        self._process = Process("relay", command, self.host.namespace, self._logs / "relay.log")
        self._process.wait_for_line("rtpproxy: ready", seconds=15)

    def stop(self) -> None:
        """Stop it; whoever asks Kamailio for a call now gets one without relay, or none."""
        self._process.stop()

    def ask(self, command: str, seconds: float = 2) -> str:
        """The answer to one command. Raises DeadlineError without one, RelayError if the relay does not run."""
        return self._control.ask(command, seconds)

    def statistics(self) -> str:
        """Totals and one paragraph per session (command ``I``)."""
        return self.ask("I")

    def active_sessions(self) -> int:
        """Sessions that hold ports now."""
        return self._control.active_sessions()

    def sessions_of(self, call_id: str, from_tag: str) -> int:
        """Sessions that this call holds: 1 while it is relayed, else 0 (command ``Q``, first media line)."""
        return 0 if self.ask(f"Q {call_id} {from_tag};1").startswith("E") else 1
