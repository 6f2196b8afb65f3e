"""What goes wrong in a Django project by default, in the project of the working directory."""

import json
import os
import sys
import threading

sys.path.insert(0, os.getcwd())

import django  # noqa: E402

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.db import ProgrammingError, connection, transaction  # noqa: E402

from board.tenancy import as_user, transaction_with  # noqa: E402
from steps import DIAGNOSE, report  # noqa: E402
from work.models import Project, Task  # noqa: E402


def with_claims(claims):
    return transaction_with("SELECT set_config('request.jwt.claims', %s, true)", json.dumps(claims))


def diagnose():
    with connection.cursor() as cursor:
        cursor.execute(DIAGNOSE)
        return cursor.fetchall()


def set_identity():
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenancy.set_identity('1', '1')")


def mistake(step):
    report(step, Project.objects.count(), diagnose())


ann = User.objects.get(username="ann")
with as_user(ann, 1):
    report("ann", Project.objects.count())
with with_claims({"sub": "1", "tenant_id": 1}):
    report("ann by claims", Project.objects.count())

set_identity()
mistake("autocommit")

# What ATOMIC_REQUESTS does: the middleware is outside of the view's transaction.
set_identity()
with transaction.atomic():
    mistake("atomic too late")

with connection.cursor() as cursor:
    cursor.execute("""SET request.jwt.claims = '{"sub": "1"}'""")
mistake("plain SET")

with as_user(ann, 1):
    transaction.on_commit(lambda: mistake("on commit"))
    projects = Project.objects.iterator()
report("after the transaction", len(list(projects)))



# A thread has a connection of its own, and so has what sync_to_async() runs in one.
def in_a_thread():
    mistake("another thread")
    connection.close()


thread = threading.Thread(target=in_a_thread)
with as_user(ann, 1):
    thread.start()
thread.join()

with as_user(ann, 1):
    report("exists", Project.objects.filter(pk=2).exists())
    report("bulk_create", [task.pk is not None for task in Task.objects.bulk_create([Task(project_id=1, title="b")])])
    report("select_for_update", Task.objects.select_for_update().filter(project_id=2).count())
    try:
        with transaction.atomic():
            Project.objects.create(organisation_id=2, name="planted")
    except ProgrammingError as error:
        report("another's row", error.__cause__.pgcode)
