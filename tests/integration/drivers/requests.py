"""Makes requests by psycopg, as an application would that does what PostgREST does.

Standard input is JSON: how to connect ("host", "port", "database", "user"), whether statements are "prepared", the name
of a "pre_request" function or null, and the "requests": which of two clients makes it, the seven settings of the request or null for a statement outside of any,
whether it is "read_only", the "sql" with $1, $2, ... and its "values". Standard output has a line of JSON for each:
its rows, or the SQLSTATE of its error.
"""

import json
import re
import sys

import psycopg

SETTINGS = [
    "search_path",
    "role",
    "request.jwt.claims",
    "request.method",
    "request.path",
    "request.headers",
    "request.cookies",
]
SET = "SELECT " + ", ".join(f"set_config('{name}', %s, true)" for name in SETTINGS)


def placeholders(sql):
    return re.sub(r"\$\d+", "%s", sql.replace("%", "%%"))


def rows(connection, request):
    # Without values the text goes as it is, and percent signs mean nothing.
    sql, values = request["sql"], request["values"]
    cursor = connection.execute(placeholders(sql), values) if values else connection.execute(sql)
    return [list(row) for row in cursor.fetchall()] if cursor.description else []


def answer(work, connection, request):
    try:
        if request["settings"] is None:
            return {"rows": rows(connection, request)}
        connection.read_only = request["read_only"]
        with connection.transaction():
            connection.execute(SET, request["settings"])
            if work["pre_request"]:
                connection.execute(f"SELECT {work['pre_request']}()")
            return {"rows": rows(connection, request)}
    except psycopg.Error as error:
        return {"code": error.sqlstate or str(error)}


def main():
    work = json.load(sys.stdin)
    clients = [
        psycopg.connect(
            host=work["host"],
            port=work["port"],
            dbname=work["database"],
            user=work["user"],
            autocommit=True,
            # At the first execution, or never.
            prepare_threshold=0 if work["prepared"] else None,
        )
        for _ in range(2)
    ]
    for request in work["requests"]:
        print(json.dumps(answer(work, clients[request["client"]], request)))
    for client in clients:
        client.close()


main()
