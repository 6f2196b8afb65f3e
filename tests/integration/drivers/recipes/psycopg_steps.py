import json

import psycopg

from psycopg_tenancy import as_user, connect, with_claims
from steps import COUNT, DIAGNOSE, report


def seen(connection):
    return connection.execute(COUNT).fetchone()[0]


def mistake(step, connection):
    report(step, seen(connection), connection.execute(DIAGNOSE).fetchall())
    connection.rollback()


ann, bob = connect(), connect()
for _ in range(4):
    with as_user(ann, "ann", 1):
        report("ann", seen(ann))
    with as_user(bob, "bob"):
        report("bob", seen(bob))
    with with_claims(ann, json.dumps({"sub": "ann", "tenant_id": 1})):
        report("ann by claims", seen(ann))
with as_user(ann, "ann", 2):
    report("ann in bob's", seen(ann))

set_identity = ("SELECT tenancy.set_identity(%s, %s)", ("ann", "1"))
ann.execute(*set_identity)
ann.commit()
mistake("committed in between", ann)

ann.autocommit = True
ann.execute(*set_identity)
mistake("autocommit", ann)
ann.execute("SET request.jwt.claims = '{\"sub\": \"ann\"}'")
mistake("plain SET", ann)
ann.autocommit = False

with as_user(ann, "ann", 1):
    pass
mistake("after the block", ann)

# psycopg begins a transaction by any statement. In it, and so in another block, the identity would outlive the block.
for block in (lambda: as_user(bob, "bob"), lambda: with_claims(bob, '{"sub": "bob"}')):
    bob.execute("SELECT 1")
    try:
        with block():
            report("in an open transaction", seen(bob))
    except RuntimeError as error:
        report("in an open transaction", str(error))
    mistake("after an open transaction", bob)
with as_user(ann, "ann", 1):
    try:
        with as_user(ann, "bob", 2):
            report("in another block", seen(ann))
    except RuntimeError as error:
        report("in another block", str(error))
    report("after the inner block", seen(ann))

try:
    ann.execute("SELECT tenancy.set_identity(%s, %s)", (1, 1))
except psycopg.Error as error:
    report("numbers", error.sqlstate)
ann.rollback()

with as_user(ann, "ann", 1):
    try:
        with ann.transaction():
            ann.execute("INSERT INTO notes (org_id, body) VALUES (2, 'planted')")
    except psycopg.Error as error:
        report("another's row", error.sqlstate)
    report("after the error", seen(ann))
    ann.execute("INSERT INTO notes (body) VALUES ('mine')")
    report("own row", ann.execute("DELETE FROM notes WHERE body = 'mine' RETURNING org_id").fetchone()[0])

# Both clients give their first statement the same name, on the same server connection.
preparing = [psycopg.connect(prepare_threshold=0) for _ in range(2)]
try:
    for connection in preparing:
        with as_user(connection, "ann", 1):
            seen(connection)
    report("prepared", "no error")
except psycopg.Error as error:
    report("prepared", error.sqlstate)
