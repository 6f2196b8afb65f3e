# shellcheck shell=bash disable=SC2154 # RUN and BINDIR come from tools/
# Sourced by run.sh: what counting requests in shared memory takes.

# restart_server [OPTION…]: with these options of the server's command line.
restart_server() {
    as_pg "$BINDIR/pg_ctl" -D "$RUN/server/data" -l "$RUN/server/log" -w -m fast -o "$*" restart >/dev/null
}

# GETs that count against the same GETs that do not, in turns; all are made by the pre-request function of their kind.
bench_usage_shared() {
    local turn kind order=(counting quiet) made=0 counted
    local -A took
    need active
    value "INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('bench.calls', 'calls', 'counter', 'day')
        ON CONFLICT DO NOTHING" >/dev/null
    value "CREATE OR REPLACE FUNCTION bench.quiet() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM current_setting(''request.path''); END';
        CREATE OR REPLACE FUNCTION bench.counting() RETURNS void LANGUAGE plpgsql
            AS 'BEGIN PERFORM current_setting(''request.path''); PERFORM tenancy.count_request(''bench.calls''); END'" >/dev/null
    restart_server -c shared_preload_libraries=pg_tenancy
    for ((turn = 0; turn < LOAD_TURNS * 2; turn++)); do
        for kind in "${order[@]}"; do
            load get "$((LOAD_SECONDS + WARM_SECONDS))" 2 -D "pre=$kind"
            took[$kind]=$(ms)
            [[ $kind != counting ]] || made=$((made + $(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$RUN/pgbench")))
        done
        echo "${took[counting]} ${took[quiet]}" >>"$RUN/usage_shared"
        order=("${order[@]:1}" "${order[0]}")
    done
    restart_server
    counted=$(value "SELECT sum(total) FROM tenancy.usage WHERE meter = 'bench.calls'")
    ((counted == made)) || die "usage_shared: $made requests were made, $counted counted"
    emit usage_shared ge 0.97 '' 'the same GET whose pre-request function does not count; ratio of tps; every count written' "$(tps_summary "$RUN/usage_shared")"
}
