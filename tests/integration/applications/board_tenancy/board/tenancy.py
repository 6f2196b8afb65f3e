"""A request is one transaction, which has the identity of whoever asks."""

from contextlib import contextmanager

from django.db import ProgrammingError, connection, transaction
from django.http import HttpResponseForbidden


@contextmanager
def transaction_with(statement, *values):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
        yield


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
        with self.asking(request):
            response = self.get_response(request)
        if response.streaming:
            response.streaming_content = self.stream(request, response.streaming_content)
        return response

    def asking(self, request):
        return as_user(request.user, request.session.get("organisation"))

    def stream(self, request, content):
        # Rows are fetched when the request's transaction is over: here in another one.
        with self.asking(request):
            yield from content

    def process_exception(self, request, exception):
        # Django turns it into a response before __call__ sees it, and what the view wrote would be committed.
        transaction.set_rollback(True)
        refused = isinstance(exception, ProgrammingError) and exception.__cause__.pgcode == "42501"
        return HttpResponseForbidden() if refused else None
