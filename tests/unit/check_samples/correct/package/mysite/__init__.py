"""The rules of one site."""
