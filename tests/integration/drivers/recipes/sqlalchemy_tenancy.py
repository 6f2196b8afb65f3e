"""SQLAlchemy 1.4 and later, through PgBouncer in transaction mode."""

from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool


def engine(url):
    # PgBouncer is the pool.
    return create_engine(url, poolclass=NullPool)


def session_of(engine, user, tenant=None):
    return Session(engine, info={"identity": {"user": str(user), "tenant": tenant and str(tenant)}})


@event.listens_for(Session, "after_begin")
def identify(session, transaction, connection):
    # After each commit() the session begins anew by itself, and this runs again; for savepoints, too, which have it.
    if transaction.nested or not session.info.keys() & {"identity", "claims"}:
        return
    if connection is session.bind:
        # Its transaction may be its owner's, in which the identity would outlive the session.
        raise RuntimeError("a session with an identity needs an engine, not a connection")
    if "identity" in session.info:
        connection.execute(text("SELECT tenancy.set_identity(:user, :tenant)"), session.info["identity"])
    else:
        connection.execute(text("SELECT set_config('request.jwt.claims', :claims, true)"), session.info)
