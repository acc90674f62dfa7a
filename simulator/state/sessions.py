"""Who is logged in: tokens, users, sessions and their end. Both kinds of array use it."""

import secrets
import uuid
from dataclasses import dataclass
from typing import Protocol

from simulator.clock import Clock


class SessionSwitches(Protocol):
    """The switches read here."""

    session_seconds: float
    session_life_is_idle: bool


@dataclass
class Session:
    user: "User"
    since: float                       # login, or last use when life is counted idle


@dataclass
class User:
    name: str
    password: str
    token: str
    role: str = "array_admin"          # "readonly" may only look


class Sessions:
    """Users by token, sessions by key (the cookie of a FlashArray, the x-auth-token of a FlashBlade)."""

    def __init__(self, clock: Clock, switches: SessionSwitches, token_prefix: str = "") -> None:
        self._clock, self._switches, self._prefix = clock, switches, token_prefix
        self._users: dict[str, User] = {}
        self._open: dict[str, Session] = {}
        self.add_user("pureuser", "pureuser")

    def add_user(self, name: str, password: str, role: str = "array_admin") -> User:
        """Add a user with a fresh API token."""
        user = User(name, password, f"{self._prefix}{uuid.uuid4()}", role)
        self._users[user.token] = user
        return user

    @property
    def users(self) -> list[User]:
        return list(self._users.values())

    def revoke(self, token: str) -> None:
        """Take a token away and end its sessions."""
        self._users.pop(token, None)
        self._open = {key: each for key, each in self._open.items() if each.user.token != token}

    def token_of(self, name: str, password: str) -> str | None:
        """The token of a user, for `POST auth/apitoken`."""
        for user in self._users.values():
            if (user.name, user.password) == (name, password):
                return user.token
        return None

    def login(self, token: object) -> tuple[str, User] | None:
        """Open a session: (key, user), or None for a wrong token."""
        user = self._users.get(token) if isinstance(token, str) else None
        if user is None:
            return None
        key = secrets.token_hex(16)
        self._open[key] = Session(user, self._clock.now())
        return key, user

    def user(self, key: str | None) -> User | None:
        """The user of a live session; a session that has run out is forgotten."""
        session = self._open.get(key) if key else None
        if session is None:
            return None
        now = self._clock.now()
        if now - session.since > self._switches.session_seconds:
            del self._open[key or ""]
            return None
        if self._switches.session_life_is_idle:
            session.since = now
        return session.user

    def logout(self, key: str) -> None:
        self._open.pop(key, None)

    def expire_all(self) -> None:
        """End every session, as a restart of the management service does."""
        self._open.clear()

    def __len__(self) -> int:
        return len(self._open)
