"""psycopg 3, through PgBouncer in transaction mode."""

from contextlib import contextmanager

import psycopg
from psycopg.pq import TransactionStatus


def connect(**where):
    # Prepared statements stay on a server connection, which is another client's next.
    return psycopg.connect(prepare_threshold=None, **where)


@contextmanager
def transaction_with(connection, statement, *values):
    # In an open transaction the block would be a savepoint, whose release keeps the identity for what follows.
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise RuntimeError("a transaction is open: commit() or rollback() first")
    with connection.transaction():
        connection.execute(statement, values)
        yield connection


def as_user(connection, user, tenant=None):
    # As text: a number would look for set_identity(smallint).
    values = str(user), tenant and str(tenant)
    return transaction_with(connection, "SELECT tenancy.set_identity(%s, %s)", *values)


def with_claims(connection, claims):
    return transaction_with(connection, "SELECT set_config('request.jwt.claims', %s, true)", claims)
