# shellcheck shell=bash disable=SC2154 # RUN, BINDIR and STAGED_ROWS come from tools/ and run.sh
# Sourced by run.sh: how long a staged rollout keeps others waiting.

# The longest that any statement of the load waited for a lock, as the server logs it: it logs no wait under
# deadlock_timeout, 5 ms here. Every statement that is stopped by the rollout is in there, whatever it waits for.
bench_staged() {
    local script=$RUN/staged_script.sql loader alone with waits longest took size
    psql -v rows="$STAGED_ROWS" -f benches/staged.sql >/dev/null
    size=$(value "SELECT pg_size_pretty(pg_relation_size('bench.staged'))")
    value "ALTER SYSTEM SET deadlock_timeout = '5ms'" >/dev/null
    value "ALTER SYSTEM SET log_lock_waits = on" >/dev/null
    value "ALTER SYSTEM SET log_line_prefix = '%a: '" >/dev/null
    value "SELECT pg_reload_conf()" >/dev/null
    # The load by itself, for what it waits for without a rollout.
    staged_load "$STAGED_ALONE"
    wait "$LOADER" || { cat "$RUN/pgbench" >&2; die "the load failed"; }
    alone=$(staged_latency)
    value "SELECT tenancy.protect_table_sql('bench.staged', resource => 'docs', add_column => true,
        backfill => 'bench.staged_tenant(org)', force => false, staged => true)" >"$script"
    grep -q 'finish_staged' "$script" || die "no script"
    # Superuser's statements go on when it is enforced; so the load sees it to the end.
    staged_load 3600
    loader=$LOADER
    sleep 3
    took=$SECONDS
    : >"$RUN/staged_steps"
    PGAPPNAME=bench_rollout psql -c '\timing on' -f "$script" >"$RUN/staged_steps" 2>&1 || { cat "$RUN/staged_steps" >&2; kill "$loader"; die "the rollout failed"; }
    took=$((SECONDS - took))
    sleep 3
    kill -TERM "$loader"
    wait "$loader" 2>/dev/null || true
    with=$(staged_latency)
    grep -qs 'ERROR' "$RUN/pgbench" && { cat "$RUN/pgbench" >&2; die "the load failed"; }
    # As in `bench_load: LOG:  process 12 acquired ShareLock on transaction 7 after 12.3 ms`.
    as_pg cat "$RUN/server/log" | sed -n 's/^bench_load: .* \(acquired\|still waiting for\) .* after \([0-9.]*\) ms.*/\2/p' >"$RUN/staged_waits"
    longest=$(sort -n "$RUN/staged_waits" | tail -n 1)
    longest=${longest:-5}
    waits=$(as_pg cat "$RUN/server/log" | grep -c '^bench_load: .*acquired' || true)
    [[ $(value "SELECT count(*) FROM bench.staged WHERE tenant_id IS DISTINCT FROM bench.staged_tenant(org)") == 0 ]] || die "rows have the wrong tenant"
    [[ $(value "SELECT tenancy.protect_table('bench.staged', resource => 'docs', force => false)") == f ]] || die "the rollout left something undone"
    emit staged_lock le 200 ms "longest of the load's lock waits, $waits of 5 ms and more in $took s; $STAGED_ROWS rows, $size; the load's slowest transaction took $with ms, and $alone ms in $STAGED_ALONE s without a rollout" \
        "$longest|$alone|$(awk -v a="$longest" -v b="$alone" 'BEGIN { print a / b }')|$longest|$longest|$longest"
    say "the statements took:"
    grep '^Time' "$RUN/staged_steps" >&2 || true
    value "ALTER SYSTEM RESET ALL" >/dev/null
    value "SELECT pg_reload_conf()" >/dev/null
}
# staged_load SECONDS: four clients, 400 transactions a second; its process is LOADER.
staged_load() {
    rm -f "$RUN"/staged_log.*
    PGAPPNAME=bench_load "$BINDIR/pgbench" -n -c 4 -j 1 -T "$1" -R 400 -D rows="$STAGED_ROWS" -f benches/pgbench/staged.sql \
        --log --log-prefix="$RUN/staged_log" >"$RUN/pgbench" 2>&1 &
    LOADER=$!
}
# The slowest transaction in ms, from when it began; how far it was behind its schedule is not counted.
staged_latency() {
    awk '{ t = $3 - $7; if (t > max) max = t } END { printf "%.1f", max / 1000 }' "$RUN"/staged_log.*
}
