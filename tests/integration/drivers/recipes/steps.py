"""How the programs here report: a line of JSON for each step, with what it saw and what diagnose() said there."""

import json

COUNT = "SELECT count(*) FROM notes"
DIAGNOSE = "SELECT topic, finding, coalesce(hint, '') FROM tenancy.diagnose()"


def report(step, seen, diagnosis=()):
    print(json.dumps({"step": step, "seen": seen, "diagnosis": [list(row) for row in diagnosis]}))
