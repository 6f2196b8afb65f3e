# shellcheck shell=bash
# Sourced after lib.sh: scratch clusters. They listen on a Unix socket in their own directory
# only, so neither ports nor names can collide, and end with the run (see make_run).

# cluster_start NAME [SETTING…]: a new cluster in this run's directory, running; the client
# settings of the caller then lead to it. SETTING is a line for postgresql.conf. CLOCK is the time
# at which the server's clock starts (Debian's package faketime), for tests that midnight could break;
# under it lock_timeout and deadlock_timeout do not fire in time, so that meter_period of isolation fails.
cluster_start() {
    local dir=$RUN/$1 key clock=()
    [[ -z ${CLOCK:-} ]] || clock=(env LD_PRELOAD=/usr/'$LIB'/faketime/libfaketimeMT.so.1 FAKETIME="@$CLOCK" FAKETIME_DONT_FAKE_MONOTONIC=1)
    shift
    as_pg mkdir -m 755 "$dir"
    as_pg "$BINDIR/initdb" -D "$dir/data" -U postgres -A trust --no-locale -E UTF8 -N >"$dir.initdb" 2>&1 ||
        { cat "$dir.initdb" >&2; die "initdb failed"; }
    {
        for key in $(toml_keys cluster); do printf "%s = '%s'\n" "$key" "$(toml_get cluster "$key")"; done
        printf "unix_socket_directories = '%s'\n" "$dir"
        for key in "$@"; do printf '%s\n' "$key"; done
    } | as_pg tee -a "$dir/data/postgresql.conf" >/dev/null
    as_pg "${clock[@]}" "$BINDIR/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 start >/dev/null ||
        { cat "$dir/log" >&2; die "the scratch server did not start"; }
    cluster_use "${dir##*/}"
}

# cluster_use NAME: psql and its like now talk to that cluster, as its superuser.
cluster_use() {
    export PGHOST=$RUN/$1 PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

cluster_stop() { as_pg "$BINDIR/pg_ctl" -D "$RUN/$1/data" -m fast -w stop >/dev/null; }

# psql of the same version, without the user's own start-up file, ending at the first error.
psql() { "$BINDIR/psql" -X -q -v ON_ERROR_STOP=1 "$@"; }
