"""psycopg 3, through PgBouncer in transaction mode."""

from contextlib import contextmanager

import psycopg


def connect(**where):
    # Prepared statements stay on a server connection, which is another client's next.
    return psycopg.connect(prepare_threshold=None, **where)


@contextmanager
def as_user(connection, user, tenant=None):
    with connection.transaction():
        # As text: a number would look for set_identity(smallint).
        connection.execute("SELECT tenancy.set_identity(%s, %s)", (str(user), tenant and str(tenant)))
        yield connection


@contextmanager
def with_claims(connection, claims):
    with connection.transaction():
        connection.execute("SELECT set_config('request.jwt.claims', %s, true)", (claims,))
        yield connection
