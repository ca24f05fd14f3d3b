"""Calls that wait for an agent."""

WAITING = 30
