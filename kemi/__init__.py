"""Kamailio route handlers in Python (KEMI, module app_python3)."""
