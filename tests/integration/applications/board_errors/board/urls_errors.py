"""Views that fail, in a project whose error pages have a menu, that is, queries."""

import io
import sys

from django.contrib.auth.models import User
from django.db import ProgrammingError, connection, transaction
from django.http import FileResponse, Http404, HttpResponse
from django.urls import include, path

from board.tenancy import as_user
from work.models import Project, Task


def titles():
    return ",".join(Task.objects.order_by("pk").values_list("title", flat=True))


def handler404(request, exception):
    return HttpResponse(f"not found: {titles()}", status=404)


def handler500(request):
    # What an error page writes is kept.
    Project.objects.create(organisation_id=1, name=f"report {request.path}")
    return HttpResponse(f"failed: {titles()}", status=500)


class ApiErrors:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        return HttpResponse(f"{exception}: {titles()}", status=400) if isinstance(exception, ApiError) else None


class ApiError(Exception):
    pass


def behind(get_response):
    def answer(request):
        response = get_response(request)
        if request.path == "/fails-behind":
            raise ValueError
        return response

    return answer


def writes(answer):
    """A view that writes, and has something to do when that is committed."""

    def view(request):
        Project.objects.create(organisation_id=1, name=request.path)
        transaction.on_commit(lambda: print("committed", request.path, file=sys.stderr, flush=True))
        return answer(request)

    return view


def fail(error):
    def view(request):
        raise error

    return view


class Refused(Exception):
    """As psycopg 3 would say it."""

    sqlstate = "42501"


def refused(request):
    raise ProgrammingError from Refused()


def as_bob(request):
    seen = [titles()]
    with as_user(User.objects.get(username="bob"), 2):
        seen.append(titles())
    seen.append(titles())
    try:
        with as_user(User.objects.get(username="bob"), 2):
            raise Http404
    except Http404:
        seen.append(titles())
    return HttpResponse("; ".join(seen))


class File(io.BytesIO):
    def read(self, *args):
        print("in a transaction:", connection.in_atomic_block, file=sys.stderr, flush=True)
        return super().read(*args)


urlpatterns = [
    path("missing", writes(fail(Http404()))),
    path("fails", writes(fail(ValueError()))),
    path("fails-behind", writes(lambda request: HttpResponse())),
    path("unavailable", writes(lambda request: HttpResponse(status=503))),
    path("api-error", writes(fail(ApiError("no")))),
    path("conflict", writes(lambda request: HttpResponse(status=409))),
    path("without-a-cause", fail(ProgrammingError())),
    path("refused", refused),
    path("as-bob", as_bob),
    path("file", lambda request: FileResponse(File(b"file"))),
    path("", include("work.urls")),
]
