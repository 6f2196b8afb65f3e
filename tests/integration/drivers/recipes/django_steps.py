"""What goes wrong in a Django project by default, in the project of the working directory."""

import json
import os
import sys
import threading
from types import SimpleNamespace

sys.path.insert(0, os.getcwd())

import django  # noqa: E402

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.db import ProgrammingError, connection, transaction  # noqa: E402

from asgiref.sync import async_to_sync, sync_to_async  # noqa: E402
from board.tenancy import TenancyMiddleware, as_user, transaction_with  # noqa: E402
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


def names():
    return list(Project.objects.values_list("name", flat=True))


# Blocks inside of others: given back at the end, however that comes.
bob = User.objects.get(username="bob")
with as_user(ann, 1):
    with as_user(bob, 2):
        report("bob inside of ann", names())
    report("ann again", names())
    try:
        with as_user(bob, 2):
            raise ValueError
    except ValueError:
        report("ann again", names())
    with as_user(bob, 2):
        transaction.set_rollback(True)
    report("ann again", names())

# What would be left with an identity that is not its own: another's transaction, and a block of the other kind.
for outer in (transaction.atomic(), with_claims({"sub": "1", "tenant_id": 1})):
    try:
        with outer, as_user(bob, 2):
            pass
    except RuntimeError as error:
        report("refused", [type(error).__name__, Project.objects.count()])


# What Django 4.2 and later do with an asynchronous response.
async def rows():
    for _ in range(2):
        yield await sync_to_async(Project.objects.count)()


async def collect(content):
    return [part async for part in content]


response = SimpleNamespace(streaming=True, is_async=True, status_code=200, streaming_content=rows())
request = SimpleNamespace(user=ann, session={"organisation": 1})
answer = TenancyMiddleware(lambda request: response)(request)
report("streamed", async_to_sync(collect)(answer.streaming_content))
report("after the stream", Project.objects.count())


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
