"""The pages: an address and a caller in, HTML out. Read only: GET and HEAD are all there is.

Each page works without JavaScript. With it, live.js asks for the page again every few seconds and puts in what changed;
an unchanged page is a 304 of a few bytes (ETag).
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, g, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from arrays.errors import PureError
from arrays.units import human
from explorer import clock, table
from explorer.callers import CHALLENGE, Caller
from explorer.rights import NotLetIn, Rights
from explorer.view import View

HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
                               "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache, private",
}
ALL_ONLY = "This page is for those who may list claims and PersistentVolumes of the whole cluster."
_OPEN = ("healthz", "readyz", "static")              # what a probe and a browser get without a token


def app(view: View, who: Caller, hosts: tuple[str, ...] = ()) -> Flask:
    """The WSGI application. `hosts`: names it answers to, () for any, so that no other site can read it (DNS rebinding)."""
    made = Flask("explorer", template_folder=str(HERE / "templates"), static_folder=str(HERE / "static"))
    made.jinja_env.trim_blocks = made.jinja_env.lstrip_blocks = True
    made.jinja_env.filters.update(size=_size, percent=_percent, shown=clock.shown, utc=clock.utc,
                                  age=lambda text: clock.age(text, time.time()))
    made.jinja_env.globals.update(view=view)

    @made.before_request
    def let_in() -> Response | None:
        if hosts and request.host.rpartition(":")[0] not in hosts and request.host not in hosts:
            abort(421)
        return None if request.endpoint in _OPEN else _recognize(who)

    @made.after_request
    def guarded(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    @made.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[str, int]:
        return render_template("error.html", title=error.name, text=error.description), error.code or 500

    @made.errorhandler(PureError)
    def failed(error: PureError) -> tuple[str, int]:
        return render_template("error.html", title="Not now", text=str(error)), 503

    _add(made, view)
    return made


def _recognize(who: Caller) -> Response | None:
    """Put the caller's rights into `g`; a challenge when there is no token, or a wrong one."""
    try:
        g.rights = who(request.headers)
    except NotLetIn:
        g.rights = None
    if g.rights is None:
        answer = make_response(render_template("error.html", title="Who are you?", text="Send your Kubernetes token: "
                                               "Authorization: Bearer, or as password of any user name."), 401)
        answer.headers["WWW-Authenticate"] = CHALLENGE
        return answer
    return None


def _add(made: Flask, view: View) -> None:
    pages: dict[str, tuple[str, Callable[..., Any]]] = {
        "fleet": ("/", lambda: _fleet(view)),
        "claims": ("/claims", lambda: _claims(view)),
        "claim": ("/claims/<namespace>/<name>", lambda namespace, name: _claim(view, namespace, name)),
        "orphans": ("/orphans", lambda: _orphans(view)),
        "whatif": ("/what-if", lambda: _what_if(view)),
        "healthz": ("/healthz", lambda: _plain("ok\n")),
        "readyz": ("/readyz", lambda: _ready(view)),
    }
    for name, (address, page) in pages.items():
        made.add_url_rule(address, name, page, methods=["GET"])


def _fleet(view: View) -> Response:
    if not _rights().everything:
        return _claims(view)            # the first page of who may see some claims only
    return _page("fleet.html", arrays=sorted(view.arrays.values(), key=lambda one: (one.backend, one.name)),
                 loads=view.loads())


def _claims(view: View) -> Response:
    wanted = table.parse(request.args)
    return _page("claims.html", table=table.table(view.claims(_rights()), wanted), wanted=wanted, columns=_COLUMNS,
                 filters=table.FILTERS, pages=table.PAGES)


def _claim(view: View, namespace: str, name: str) -> Response:
    found = view.claim(_rights(), namespace, name)
    if found is None:
        abort(404, f"There is no claim {namespace}/{name} of this driver, or you may not list claims of that namespace.")
    return _page("claim.html", row=found[0], steps=found[1])


def _orphans(view: View) -> Response:
    _for_all_only()
    return _page("orphans.html", orphans=view.orphans(), waiting=view.waiting(), known=view.knows_orphans)


def _what_if(view: View) -> Response:
    _for_all_only()
    classes = view.classes()
    wanted = {"class": request.args.get("class", classes[0] if classes else ""), "size": request.args.get("size", "10Gi"),
              "labels": request.args.get("labels", "")}
    answer = view.what_if(wanted["class"], wanted["size"], wanted["labels"]) if classes else None
    return _page("whatif.html", classes=classes, wanted=wanted, answer=answer)


def _ready(view: View) -> Response:
    complaints = [one for one in view.complaints() if "not listed yet" in one]
    return _plain("".join(f"{line}\n" for line in complaints or ["ok"]), 503 if complaints else 200)


def _plain(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type="text/plain; charset=utf-8")


def _page(template: str, **values: Any) -> Response:
    """A page, or 304 when the caller has it already."""
    response = make_response(render_template(template, rights=_rights(), **values))
    response.set_etag(hashlib.blake2b(response.get_data(), digest_size=12).hexdigest())
    response.make_conditional(request)
    return response


def _rights() -> Rights:
    rights: Rights = g.rights
    return rights


def _for_all_only() -> None:
    if not _rights().everything:
        abort(403, ALL_ONLY)


# Column of the table -> its head.
_COLUMNS = {"namespace": "Namespace", "name": "Claim", "class": "Class", "pods": "Pods", "node": "Node", "array": "Array",
            "volume": "Volume", "size": "Size", "used": "Used", "snapshots": "Snapshots", "age": "Age", "state": "State",
            "event": "Last event"}


def _size(value: int | None) -> str:
    return "–" if value is None else human(value)


def _percent(part: float, whole: float) -> float:
    """0 to 100, with one digit."""
    return round(min(100.0, max(0.0, 100 * part / whole)), 1) if whole else 0.0
