"""A request is one transaction, which has the identity of whoever asks."""

import sys
from contextlib import ExitStack, contextmanager

from asgiref.sync import sync_to_async
from django.db import ProgrammingError, connection, transaction
from django.http import FileResponse, HttpResponseForbidden


def identify(statement, values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@contextmanager
def transaction_with(statement, *values):
    # A block inside of another is a savepoint, whose release keeps the identity: the other's is given again. In an
    # atomic() without one, and in a block of another kind, ours would stay: durable refuses these, but in a TestCase.
    outer = getattr(connection, "tenancy_identity", None)
    with transaction.atomic(durable=outer is None or outer[0] != statement):
        identify(statement, values)
        connection.tenancy_identity = statement, values
        try:
            yield
        finally:
            connection.tenancy_identity = outer
    if outer:
        identify(*outer)


def as_user(user, organisation):
    # Users are known by their ids as text; who has not logged in is an unknown one, and so nobody.
    subject = str(user.pk or "anonymous")
    return transaction_with("SELECT tenancy.set_identity(%s, %s)", subject, organisation and str(organisation))


def as_job(organisation):
    return transaction_with("SELECT tenancy.enter_tenant(%s)", str(organisation))


class TenancyMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        with ExitStack() as request.tenancy_stack:
            request.tenancy_stack.enter_context(self.asking(request))
            request.tenancy_failed = False
            response = self.get_response(request)
            if response.status_code >= 500 and not request.tenancy_failed:
                transaction.set_rollback(True)
        # A file has no rows.
        if response.streaming and not isinstance(response, FileResponse):
            stream = self.async_stream if getattr(response, "is_async", False) else self.stream
            response.streaming_content = stream(request, response.streaming_content)
        return response

    def asking(self, request):
        return as_user(request.user, request.session.get("organisation"))

    def stream(self, request, content):
        # Rows are fetched when the request's transaction is over: here in another one.
        with self.asking(request):
            yield from content

    async def async_stream(self, request, content):
        # All sync_to_async() of a request is in one thread, which has one connection.
        asking = self.asking(request)
        await sync_to_async(asking.__enter__)()
        try:
            async for part in content:
                yield part
        finally:
            await sync_to_async(asking.__exit__)(*sys.exc_info())

    def process_exception(self, request, exception):
        # Django turns it into a response before __call__ sees it. What the view wrote is taken back, and the error page
        # is made in another transaction of the same user, since it may have queries.
        request.tenancy_failed = True
        request.tenancy_stack.__exit__(type(exception), exception, exception.__traceback__)
        request.tenancy_stack.enter_context(self.asking(request))
        cause = exception.__cause__
        state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)  # psycopg 3, psycopg2
        return HttpResponseForbidden() if isinstance(exception, ProgrammingError) and state == "42501" else None
