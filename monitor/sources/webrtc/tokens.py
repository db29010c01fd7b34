"""The token that publishers from other machines must show: the user's own, or one that is made once and kept."""

from __future__ import annotations

import secrets
from dataclasses import replace

from monitor.errors import BadInputError
from monitor.sources.webrtc.certificate import write_private
from monitor.sources.webrtc.settings import SHORTEST_TOKEN, IngestSettings


def with_token(settings: IngestSettings) -> IngestSettings:
    """The same settings, with a token wherever others can reach the server.

    Raises:
        BadInputError: the file it is kept in cannot be read or written.
    """
    if settings.token is not None or not settings.exposed:
        return settings
    path = settings.folder / "token"
    try:
        kept = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        if len(kept) < SHORTEST_TOKEN:
            kept = secrets.token_urlsafe(24)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, kept.encode())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: cannot keep a token there ({error}). Set CLASSROOM_TOKEN instead") from error
    return replace(settings, token=kept)
