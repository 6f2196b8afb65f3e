# shellcheck shell=bash disable=SC2034 # those who source it use what it sets
# Sourced after lib.sh by what starts servers of its own. What it promises such a program:
#   PGT_BINDIR     programs of a Postgres with the extension installed
#   PGT_SCRATCH    a directory to write in; servers left in it are stopped, and it is removed
#   PGT_SOURCE     a readable copy of tests/, sql/ and docs/
#   PGT_PGBOUNCER  the pgbouncer program
#   PGT_PREFIX     the root under which that Postgres is installed
#   PGT_NODE, NODE_PATH, PGT_PYTHON  programs that find what npm installed, and psycopg

# server_env: prepares them in RUN; "${SERVER_ENV[@]}" PROGRAM runs it with them.
server_env() {
    local bouncer npm_home=${CARGO_TARGET_DIR:-$REPO/target}/drivers
    bouncer=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
    mkdir -p "$RUN/source" "$RUN/scratch"
    cp -R tests sql docs "$RUN/source/"
    cp CHANGELOG.md pg_tenancy.control "$RUN/source/" 2>/dev/null || true
    # What npm installed lies where the server's user may not look.
    cp -R "$npm_home/node_modules" "$RUN/source/"
    [[ $SERVER_USER == "$(id -un)" ]] || chown -R "$SERVER_USER:" "$RUN/source" "$RUN/scratch"
    SERVER_ENV=("${AS_PG[@]}" env -C "$RUN/scratch" TMPDIR="$RUN/scratch" PGT_BINDIR="$BINDIR" PGT_SCRATCH="$RUN/scratch"
        PGT_SOURCE="$RUN/source" PGT_PGBOUNCER="$bouncer" PGT_PREFIX="$PREFIX"
        PGT_NODE="$(command -v node || echo /usr/bin/node)" NODE_PATH="$RUN/source/node_modules" PGT_PYTHON=/usr/bin/python3)
}
