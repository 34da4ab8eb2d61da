"""What the service takes and how long it waits, all in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields

from formats.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Attributes:
    body: bytes of a request.
    text: characters of one text.
    options: labels, options or types of a request.
    work: characters that the model would read for one request, over all its prompts.
    queue: requests that may be inside, waiting or being answered; one more gets 503.
    batch: requests that are answered together.
    wait: seconds that a request waits for others to join its batch.
    seconds: until a waiting client gets 504.
    upload: seconds that a client may take to send its request.
    """

    body: int = 262_144
    text: int = 50_000
    options: int = 200
    work: int = 1_000_000
    queue: int = 64
    batch: int = 32
    wait: float = 0.01
    seconds: float = 30.0
    upload: float = 10.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            whole = isinstance(f.default, int)
            if type(value) not in ((int,) if whole else (int, float)) or not value > 0:
                raise ConfigError(
                    f"{f.name} is no limit",
                    got=value,
                    expected=f"a {'whole ' * whole}number above 0, as in {f.name}={f.default}",
                    field=f.name,
                )
