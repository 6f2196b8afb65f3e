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
    # After each commit() the session begins anew by itself, and this runs again.
    if "identity" in session.info:
        connection.execute(text("SELECT tenancy.set_identity(:user, :tenant)"), session.info["identity"])
    elif "claims" in session.info:
        connection.execute(text("SELECT set_config('request.jwt.claims', :claims, true)"), session.info)
