"""Netstrings, the frames of baresip's control connection: ``5:hello,``."""


class Reader:
    """Takes bytes as they come and gives complete strings."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The strings that `data` completes. Raises ValueError when the stream is not one of netstrings."""
        self._buffer += data
        complete = []
        while (colon := self._buffer.find(b":")) >= 0:
            digits = self._buffer[:colon]
            if not digits.isdigit():
                raise ValueError(f"expected a netstring's length, found {digits!r}")
            end = colon + 1 + int(digits)
            if len(self._buffer) <= end:
                break
            if self._buffer[end : end + 1] != b",":
                raise ValueError(
                    f"expected ',' after {int(digits)} bytes, found {self._buffer[end : end + 1]!r}"
                )
            complete.append(self._buffer[colon + 1 : end])
            self._buffer = self._buffer[end + 1 :]
        return complete


def encode(text: bytes) -> bytes:
    """`text` as a netstring."""
    return b"%d:%s," % (len(text), text)
