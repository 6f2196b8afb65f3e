import json
import os

from sqlalchemy import Column, Integer, Text, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session, declarative_base

from sqlalchemy_tenancy import engine, session_of
from steps import DIAGNOSE, report


class Note(declarative_base()):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    body = Column(Text)


def mistake(step, connection, seen):
    report(step, seen, connection.execute(text(DIAGNOSE)).fetchall())


host, port, database, user = (os.environ[name] for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER"))
engine = engine(f"postgresql+psycopg2://{user}@/{database}?host={host}&port={port}")
ann, bob = session_of(engine, "ann", 1), session_of(engine, "bob")
claims = Session(engine, info={"claims": json.dumps({"sub": "ann", "tenant_id": 1})})
for _ in range(3):
    report("ann", ann.query(Note).count())
    ann.commit()
    report("bob", bob.query(Note).count())
    bob.rollback()
    report("ann by claims", claims.query(Note).count())
    claims.commit()

# The flush's RETURNING, a savepoint, an error in it, and an object read again after the commit.
note = Note(body="mine")
ann.add(note)
ann.flush()
try:
    with ann.begin_nested():
        ann.execute(text("INSERT INTO notes (org_id, body) VALUES (2, 'planted')"))
except ProgrammingError as error:
    report("another's row", error.orig.pgcode)
ann.commit()
report("read again", note.body)
ann.delete(note)
ann.commit()

# A savepoint before anything else, with its release.
with ann.begin_nested():
    report("in a savepoint", ann.query(Note).count())
report("after a savepoint", ann.query(Note).count())
ann.commit()

# On a connection, whose transaction may be another's.
with engine.connect() as connection, connection.begin():
    try:
        report("on a connection", session_of(connection, "ann", 1).query(Note).count())
    except RuntimeError as error:
        report("on a connection", type(error).__name__)
    mistake("the connection's transaction", connection, connection.execute(text("SELECT count(*) FROM notes")).scalar())

session = Session(engine)
session.execute(text("SELECT tenancy.set_identity('ann', '1')"))
session.commit()
mistake("committed in between", session, session.query(Note).count())
session.close()

with engine.connect() as connection:
    mistake("beside the session", connection, connection.execute(text("SELECT count(*) FROM notes")).scalar())

with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
    connection.execute(text("SELECT tenancy.set_identity('ann', '1')"))
    mistake("autocommit", connection, connection.execute(text("SELECT count(*) FROM notes")).scalar())
