"""What more of it costs: workers, registered contacts, calls through the relay, messages."""
