"""Who may publish: the token, compared in constant time; the limit on wrong ones; hosts and origins.

Knows no web server.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from monitor.sources.webrtc.settings import IngestSettings, is_loopback

FAILURES_ALLOWED = 5
"""Wrong tokens of one address within FORGIVEN_AFTER_S; then it is not listened to."""
FORGIVEN_AFTER_S = 60.0
_ADDRESSES_KEPT = 1024


class FailureLimit:
    """Counts wrong tokens by address; bounded, however many addresses there are.

    Args:
        clock: seconds, growing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Seconds for which an address is not listened to; 0 when it is."""
        recent = self._recent(address)
        if len(recent) < FAILURES_ALLOWED:
            return 0.0
        return max(0.0, recent[-1] + FORGIVEN_AFTER_S - self._clock())

    def failed(self, address: str) -> None:
        """Count one wrong token."""
        self._failures[address] = [*self._recent(address), self._clock()][-FAILURES_ALLOWED:]
        self._failures.move_to_end(address)
        while len(self._failures) > _ADDRESSES_KEPT:
            self._failures.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = self._clock() - FORGIVEN_AFTER_S
        return [at for at in self._failures.get(address, ()) if at > since]


class Access:
    """The door's rules.

    Args:
        settings: token, hosts and origins.
        failures: where wrong tokens are counted.
    """

    def __init__(self, settings: IngestSettings, failures: FailureLimit | None = None) -> None:
        self.failures = failures or FailureLimit()
        self._settings = settings
        self._digest = hashlib.sha256(settings.token.encode()).digest() if settings.token else None

    @property
    def token_needed(self) -> bool:
        """Whether publishers must show a token."""
        return self._digest is not None

    def token_fits(self, authorization: str | None) -> bool:
        """Whether an Authorization header bears the token; takes the same time for every wrong one."""
        if self._digest is None:
            return True
        scheme, _, shown = (authorization or "").partition(" ")
        digest = hashlib.sha256(shown.strip().encode(errors="surrogateescape")).digest()
        return hmac.compare_digest(digest, self._digest) and scheme.lower() == "bearer"

    def host_fits(self, host: str | None) -> bool:
        """Whether a Host header is ours. Without a token a foreign one is a page that rebinds its name to loopback."""
        if self.token_needed:
            return True
        name = _host_name(f"//{host or ''}")
        return name is not None and (is_loopback(name) or name == self._settings.host.lower())

    def origin_fits(self, origin: str | None, host: str | None) -> bool:
        """Whether a web page of this origin may publish. No Origin header: no browser, or a page of our own."""
        if origin is None or origin in self._settings.allow_origins or self.token_needed:
            return True
        name = _host_name(origin)
        if name is None or urlsplit(origin).scheme not in ("http", "https"):
            return False
        return is_loopback(name) or origin.partition("://")[2] == host


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
