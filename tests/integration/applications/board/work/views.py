"""The board's requests. Like many a project of some age it asks for the organisation where somebody thought of it:
lists of projects do, and most of what goes by an id does not."""

import json

from django.contrib.auth import authenticate, login
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models import Count, Sum
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from work.models import Membership, Project, Task


def require_login(view):
    def wrapped(request, *args, **kwargs):
        if not request.user.is_authenticated:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return wrapped


def log_in(request):
    user = authenticate(request, **json.loads(request.body))
    if user is None:
        return HttpResponse(status=403)
    login(request, user)
    return HttpResponse(status=204)


@require_login
def organisations(request):
    memberships = Membership.objects.filter(user=request.user).select_related("organisation").order_by("pk")
    return JsonResponse({"organisations": [{"id": m.organisation_id, "name": m.organisation.name} for m in memberships]})


@require_login
def switch(request, pk):
    get_object_or_404(Membership, user=request.user, organisation_id=pk)
    request.session["organisation"] = pk
    return HttpResponse(status=204)


@require_login
def projects(request):
    if request.method == "POST":
        data = json.loads(request.body)
        organisation = data.get("organisation", request.session["organisation"])
        project = Project.objects.create(organisation_id=organisation, name=data["name"])
        for task in data.get("tasks", []):
            Task.objects.create(project=project, title=task["title"])
        return JsonResponse({"id": project.pk}, status=201)
    mine = Project.objects.filter(organisation=request.session["organisation"])
    rows = mine.annotate(open=Count("tasks")).order_by("name").values("id", "name", "open")
    return JsonResponse({"projects": list(rows)})


@require_login
def project(request, pk):
    project = get_object_or_404(Project, pk=pk)
    if request.method == "PATCH":
        for field, value in json.loads(request.body).items():
            setattr(project, field, value)
        project.save()
    elif request.method == "DELETE":
        project.delete()
        return HttpResponse(status=204)
    return JsonResponse({"id": project.pk, "name": project.name})


def task_json(task):
    return {"id": task.pk, "title": task.title, "done": task.done, "project": task.project.name}


def tasks(request):
    """Also the public search, which somebody forgot to close."""
    if request.method == "POST":
        data = json.loads(request.body)
        task = Task.objects.create(project_id=data["project"], title=data["title"])
        return JsonResponse({"id": task.pk}, status=201)
    found = Task.objects.select_related("project").filter(title__icontains=request.GET.get("q", ""))
    return JsonResponse({"tasks": [task_json(task) for task in found.order_by("pk")]})


@require_login
def task(request, pk):
    if request.method == "DELETE":
        deleted, _ = Task.objects.filter(pk=pk).delete()
        return HttpResponse(status=204 if deleted else 404)
    if request.method == "PATCH":
        updated = Task.objects.filter(pk=pk).update(**json.loads(request.body))
        return HttpResponse(status=204 if updated else 404)
    return JsonResponse(task_json(get_object_or_404(Task.objects.select_related("project"), pk=pk)))


@require_login
def claim(request, pk):
    with transaction.atomic():
        task = get_object_or_404(Task.objects.select_for_update(), pk=pk)
        if task.assignee_id is not None:
            return HttpResponse(status=409)
        task.assignee = request.user
        task.save(update_fields=["assignee"])
    return HttpResponse(status=204)


@require_login
def import_tasks(request):
    data = json.loads(request.body)
    created = Task.objects.bulk_create(Task(project_id=data["project"], title=title) for title in data["titles"])
    return JsonResponse({"ids": [task.pk for task in created]}, status=201)


@require_login
def close_overdue(request):
    closed = Task.objects.filter(due__lt=timezone.now().date(), done=False).update(done=True)
    return JsonResponse({"closed": closed})


@require_login
def report(request):
    totals = Task.objects.aggregate(tasks=Count("pk"), points=Sum("points"))
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT p.name, count(t.id) FROM work_project p LEFT JOIN work_task t ON t.project_id = p.id
               GROUP BY p.id ORDER BY p.name"""
        )
        return JsonResponse({"totals": totals, "projects": cursor.fetchall()})


@require_login
def export(request):
    """Rows go out as they come in: the response is written when the view has returned."""
    rows = Task.objects.select_related("project").order_by("pk").iterator()
    lines = (f"{task.pk},{task.project.name},{task.title}\n" for task in rows)
    return StreamingHttpResponse(lines, content_type="text/csv")
