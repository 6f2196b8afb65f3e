"""A request is one transaction, which has the identity of whoever asks."""

from contextlib import contextmanager

from django.db import ProgrammingError, connection, transaction
from django.http import HttpResponseForbidden


@contextmanager
def as_user(user, tenant):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT tenancy.set_identity(%s, %s)", [user and str(user), tenant and str(tenant)])
        yield


@contextmanager
def as_job(tenant):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT tenancy.enter_tenant(%s)", [str(tenant)])
        yield


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
        return as_user(request.user.pk, request.session.get("organisation"))

    def stream(self, request, content):
        # Written when the request's transaction is over: in another one, as long as the client takes.
        with self.asking(request):
            yield from content

    def process_exception(self, request, exception):
        # Django makes a response of it before __call__ sees it, which would commit what the view did so far.
        transaction.set_rollback(True)
        refused = isinstance(exception, ProgrammingError) and exception.__cause__.pgcode == "42501"
        return HttpResponseForbidden() if refused else None
