"""How a pretend array says no. Texts are those of array-rest.md section 3 where a source gives them."""


class Refusal(Exception):
    """The array refuses a request; `rest/` words it as the HTTP reply.

    `msg` is the text clients match on, `ctx` the object it is about. `status` is 400 for all that has to do with
    the meaning of a request, also for objects that are not there: REST 1.x never answers 404 for those.
    """

    def __init__(self, msg: str, ctx: str = "", *, status: int = 400) -> None:
        super().__init__(f"{msg} ({ctx})" if ctx else msg)
        self.msg = msg
        self.ctx = ctx
        self.status = status
