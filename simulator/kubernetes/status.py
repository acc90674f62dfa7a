"""How the API server says no: an ApiError that becomes a Status object.

Codes, reasons and sentences are those of k8s.io/apimachinery pkg/api/errors.
"""
import json
from typing import Any

from simulator.kubernetes.resources import Resource


class ApiError(Exception):
    """A refusal: HTTP `code`, machine-readable `reason`, sentence."""

    def __init__(self, code: int, reason: str, message: str, *, details: dict[str, Any] | None = None,
                 metadata: dict[str, Any] | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.metadata = metadata or {}
        self.retry_after = retry_after   # seconds, sent as the header Retry-After

    def body(self) -> dict[str, Any]:
        """The Status object."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure",
                                  "message": self.message, "reason": self.reason, "code": self.code}
        if self.details:
            status["details"] = self.details
        return status

    def to_json(self) -> bytes:
        """The Status object as it goes over the wire."""
        return json.dumps(self.body()).encode()


def _details(resource: Resource, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": resource.plural, **({"group": resource.group} if resource.group else {}), **more}


def not_found(resource: Resource, name: str) -> ApiError:
    """404 for an object."""
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', details=_details(resource, name))


def no_such_path() -> ApiError:
    """404 for a path that no server of this version has."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(resource: Resource, name: str) -> ApiError:
    """409 on create."""
    return ApiError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists',
                    details=_details(resource, name))


_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource, name: str, why: str = _MODIFIED) -> ApiError:
    """409 on update, patch or delete: resourceVersion or uid is not the current one."""
    return ApiError(409, "Conflict", f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}',
                    details=_details(resource, name))


def invalid(resource: Resource, name: str, causes: list[tuple[str, str, str]]) -> ApiError:
    """422: `causes` are (field, kind of complaint, sentence), as field.Error prints them."""
    text = ", ".join(f"{field}: {sentence}" for field, _, sentence in causes)
    wrapped = text if len(causes) == 1 else f"[{text}]"
    return ApiError(422, "Invalid", f'{resource.kind}{"." + resource.group if resource.group else ""} "{name}" is '
                    f"invalid: {wrapped}", details=_details(resource, name, causes=[
                        {"reason": kind, "field": field, "message": sentence} for field, kind, sentence in causes]))


def bad_request(message: str) -> ApiError:
    """400: the body or the query could not be read."""
    return ApiError(400, "BadRequest", message)


def expired(message: str, **metadata: Any) -> ApiError:
    """410: the resourceVersion or continue token is older than what the server remembers."""
    return ApiError(410, "Expired", message, metadata=metadata)


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """403 from RBAC or admission."""
    quoted = f' "{name}"' if name else ""
    return ApiError(403, "Forbidden", f"{resource.qualified}{quoted} is forbidden: {why}",
                    details=_details(resource, name))
