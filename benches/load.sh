# shellcheck shell=bash disable=SC2154 # RUN and BINDIR come from tools/
# Sourced by run.sh: what pgbench measures.

# The library is loaded neither by literals nor by baselines, so that they carry none of our hooks.
without_library() { PGOPTIONS='-c session_preload_libraries=' "$@"; }

# load FILE SECONDS CLIENTS [OPTION…]: pgbench with a log of each transaction in $RUN/log.*; any failed one is an error.
load() {
    rm -f "$RUN"/log.*
    "$BINDIR/pgbench" -n -c "$3" -j 2 -T "$2" -D cold=1 -D last=19999 -f "benches/pgbench/$1.sql" --log --log-prefix="$RUN/log" "${@:4}" >"$RUN/pgbench" 2>&1 ||
        { cat "$RUN/pgbench" >&2; die "pgbench failed on $1"; }
}
# What every script shall find: 20 rows. The last query is replaced by one that fails unless it does.
check_request() {
    sed 's/^\(SELECT id.* LIMIT 20\);$/SELECT 1 \/ (count(*) = 20)::int FROM (\1) AS found;/; s/^SELECT bench.warm.*//' "benches/pgbench/$1.sql" >"$RUN/check.sql"
    grep -q 'count(\*) = 20' "$RUN/check.sql" || die "$1.sql has no query of 20 rows"
    "$BINDIR/pgbench" -n -t 50 -D cold=1 -D last=19999 -f "$RUN/check.sql" >"$RUN/pgbench" 2>&1 ||
        { cat "$RUN/pgbench" >&2; die "$1.sql does not find 20 rows"; }
}
# window: from when every client has ended its first transaction, the one that warms, to the end; as `first last`.
window() {
    awk '
        { end = $5 + $6 / 1e6; if (!($1 in seen)) { seen[$1] = 1; if (end > first) first = end } if (end > last) last = end }
        END { printf "%.6f %.6f\n", first, last }' "$RUN"/log.*
}
# ms: mean time of a transaction in that window, as clients / tps.
ms() {
    local first last
    read -r first last <<<"$(window)"
    awk -v first="$first" -v last="$last" '
        { clients[$1] = 1 } $5 + $6 / 1e6 > first { n++ }
        END { for (c in clients) k++; if (n < 100) exit 1; printf "%.6f\n", k * (last - first) * 1000 / n }' "$RUN"/log.* ||
        die "too few transactions: the connections were still warming"
}

# The three kinds of request in turns, each in new connections. Ratios are of tps: theirs per transaction by ours.
bench_request() {
    local turn kind order=(request request_literal request_claims_d)
    local -A took
    need active open
    for kind in "${order[@]}"; do check_request "$kind"; done
    for ((turn = 0; turn < LOAD_TURNS; turn++)); do
        for kind in "${order[@]}"; do
            if [[ $kind == request ]]; then load "$kind" "$((LOAD_SECONDS + WARM_SECONDS))" 2; else without_library load "$kind" "$LOAD_SECONDS" 2; fi
            took[$kind]=$(ms)
        done
        echo "${took[request]} ${took[request_literal]}" >>"$RUN/vs_literal"
        echo "${took[request]} ${took[request_claims_d]}" >>"$RUN/vs_d"
        echo "${took[request_literal]} ${took[request_claims_d]}" >>"$RUN/literal_vs_d"
        order=("${order[@]:1}" "${order[0]}")
    done
    emit request ge 0.90 '' 'literal predicate, role with BYPASSRLS, library not loaded; ratio of tps' "$(tps_summary "$RUN/vs_literal")"
    # What there is to be gained over (d) at most.
    emit request_literal_vs_d ge - '' 'baseline (d); the first figure is the literal, not ours; ratio of tps' "$(tps_summary "$RUN/literal_vs_d")"
    emit request_vs_d ge 1.3 '' 'baseline (d) with its pre-request function and a tenant filter; ratio of tps' "$(tps_summary "$RUN/vs_d")"
}
# Of lines `ours other` in ms: the figure and the ratio are of tps.
tps_summary() {
    awk '{ print $1, $2, $2 / $1 }' "$1" >"$RUN/tps"
    summary_of "$RUN/tps" | awk -F '|' -v OFS='|' '{ $3 = $4; print }'
}

# Requests while others change memberships, in turns with requests nobody disturbs. SUFFIX _hot: of 1,000 users, whom the
# cache holds; of 10,000 many are cold anyway, and a change takes less from them.
# bench_churn SUFFIX LAST-USER
bench_churn() {
    local turn rate order=(0 10 100 1000) changes verdict
    local -A took bar=([10]=0.95 [100]=0.85 [1000]=0.60)
    need active
    check_request request
    for ((turn = 0; turn < LOAD_TURNS; turn++)); do
        for rate in "${order[@]}"; do
            ((rate == 0)) || churn "$rate" "$((LOAD_SECONDS + WARM_SECONDS + 1))"
            load request "$((LOAD_SECONDS + WARM_SECONDS))" 2 -D last="$2"
            took[$rate]=$(ms)
            ((rate == 0)) || { wait "$CHURN" || die "the session that changes memberships failed"; achieved >>"$RUN/achieved$1_$rate"; }
        done
        for rate in 10 100 1000; do echo "${took[$rate]} ${took[0]}" >>"$RUN/churned$1_$rate"; done
        order=("${order[@]:1}" "${order[0]}")
    done
    for rate in 10 100 1000; do
        changes=$(awk '{ n += $1 } END { printf "%.0f", n / NR }' "$RUN/achieved$1_$rate")
        # Too few changes prove nothing. pgbench spaces them at random, so a few less are no sign.
        verdict=''
        ((changes * 10 >= rate * 8)) || verdict=undecided
        emit "churn_$rate$1" ge "${bar[$rate]}" '' "request without changes, $(($2 - 9999)) users; ratio of tps; $changes changes/s" \
            "$(tps_summary "$RUN/churned$1_$rate")" "$verdict"
    done
}
# churn RATE SECONDS: that many changes a second in the background; its process is CHURN.
churn() {
    rm -f "$RUN"/churn.*
    "$BINDIR/pgbench" -n -c 4 -j 1 -T "$2" -R "$1" -f benches/pgbench/churn.sql --log --log-prefix="$RUN/churn" >"$RUN/churn.out" 2>&1 &
    CHURN=$!
}
# achieved: how many changes a second fell into the window that was measured.
achieved() {
    local first last
    read -r first last <<<"$(window)"
    awk -v first="$first" -v last="$last" '{ t = $5 + $6 / 1e6 } t > first && t <= last { n++ } END { print n / (last - first) }' "$RUN"/churn.[0-9]*
}

# 50 connections under half of what they could do, and now and then a revoke: the 99th percentile of the second before
# and of the second after it. At full load waiting for a processor would hide what a revoke costs.
bench_stampede() {
    local rate revoke
    need active
    check_request stampede
    load stampede "$((LOAD_SECONDS + 1))" 50
    rate=$(awk -v ms="$(ms)" 'BEGIN { printf "%d", 50 * 1000 / ms / 2 }')
    for ((revoke = 40000; revoke < 40000 + REVOKES; revoke++)); do
        printf 'SELECT pg_sleep(3) \\g /dev/null\n'
        printf "SELECT extract(epoch FROM statement_timestamp()), tenancy.revoke_role(bench.tenant_id(1 + %s %% 1000), bench.user_id(%s), 'staff');\n" "$revoke" "$revoke"
    done >"$RUN/revokes.sql"
    psql -At -F ' ' -f "$RUN/revokes.sql" >"$RUN/revokes" &
    local revoker=$!
    load stampede "$((4 + 3 * REVOKES))" 50 -R "$rate"
    wait "$revoker" || die "the session that revokes failed"
    (($(grep -c ' t$' "$RUN/revokes") == REVOKES)) || die "not every revoke revoked something"
    emit stampede le 2 '' "p99 in the second before each of $REVOKES revokes, pooled; 50 connections, $rate requests/s" "$(stampede_summary)"
}
# Pooled percentiles for the row, the quartiles of each revoke's own ratio for the spread.
stampede_summary() {
    local at after before
    while read -r at _; do
        after=$(p99 0 "$at") before=$(p99 -1 "$at")
        [[ -n $after && -n $before ]] || die "too few requests around a revoke"
        echo "$after $before"
    done <"$RUN/revokes" >"$RUN/stampede"
    read -r -d '' -a at < <(cut -d ' ' -f 1 "$RUN/revokes") || true
    after=$(p99 0 "${at[@]}") before=$(p99 -1 "${at[@]}")
    summary_of "$RUN/stampede" | awk -F '|' -v OFS='|' -v after="$after" -v before="$before" '{ $1 = after; $2 = before; $3 = $4 = after / before; print }'
}
# p99 OFFSET TIME…: of all transactions that ended in the second after one of TIME + OFFSET, in ms.
p99() {
    awk -v offset="$1" -v times="${*:2}" '
        BEGIN { n = split(times, at, " ") }
        { for (i = 1; i <= n; i++) { d = $5 + $6 / 1e6 - at[i] - offset; if (d >= 0 && d < 1) print $3 } }' "$RUN"/log.* |
        sort -n | awk '{ a[NR] = $1 } END { if (NR >= 100) printf "%.3f\n", a[int(NR * 0.99)] / 1000 }'
}

# Anonymous memory of backends that know 5,000 users each, less that of backends that did nothing and have no library.
bench_memory() {
    local empty full
    without_library hold empty 5 'SELECT 1%' "$RUN/empty"
    hold memory "$MEMORY_CONNECTIONS" 'SELECT bench.warm%' "$RUN/full"
    empty=$(sort -n "$RUN/empty" | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }')
    full=$(sort -n "$RUN/full" | awk -v empty="$empty" '{ a[NR] = ($1 - empty) / 1024 } END { printf "%s|%s|%s|%s|%s|%s", a[int((NR + 1) / 2)], 6, a[int((NR + 1) / 2)] / 6, a[int((NR + 1) / 2)], a[int((NR + 3) / 4)], a[int((3 * NR + 1) / 4)] }')
    emit memory le 6 MB "the bar; MB, not ms; $MEMORY_CONNECTIONS connections, 5,000 users each, less an empty backend of $empty kB" "$full"
}
# hold SCRIPT CLIENTS LAST-QUERY FILE: connections that idle after the script's query; their anonymous memory in kB in FILE.
hold() {
    local holder pids waited=0
    PGAPPNAME=bench_hold "$BINDIR/pgbench" -n -c "$2" -j 1 -t 1 -f "benches/pgbench/$1.sql" >"$RUN/pgbench" 2>&1 &
    holder=$!
    until (($(value "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bench_hold' AND state = 'idle' AND query LIKE '$3'") == $2)); do
        kill -0 "$holder" 2>/dev/null && ((waited++ < 1200)) || { cat "$RUN/pgbench" >&2; die "not all connections finished $1.sql"; }
        sleep 0.5
    done
    pids=$(value "SELECT string_agg('/proc/' || pid || '/smaps_rollup', ' ') FROM pg_stat_activity WHERE application_name = 'bench_hold'")
    # The server's user may look into his own processes; root in a container may not.
    # shellcheck disable=SC2086 # one word for each file
    as_pg awk '/^Anonymous:/ { print $2 }' $pids >"$4"
    kill -TERM "$holder"
    wait "$holder" 2>/dev/null || true
    until (($(value "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bench_hold'") == 0)); do sleep 0.2; done
}

# The first statement of new connections, as the server measures it: from its arrival to its end, so with parsing, planning
# and, in first_call, loading the library. In first_call_preloaded the library came with the connection and is not counted.
bench_first_call() {
    local turn kind order=(cold preloaded partner)
    local -A took
    for ((turn = 0; turn <= TURNS; turn++)); do
        for kind in "${order[@]}"; do took[$kind]=$(first_call "$kind"); done
        order=("${order[@]:1}" "${order[0]}")
        ((turn > 0)) || continue
        echo "${took[cold]} ${took[partner]}" >>"$RUN/first_call"
        echo "${took[preloaded]} ${took[partner]}" >>"$RUN/first_call_preloaded"
    done
    emit first_call le 2 '' 'first call of a trivial plpgsql function; ours loads the library' "$(summary_of "$RUN/first_call")"
    emit first_call_preloaded le 2 '' 'the same; ours has the library since it connected, which is not counted' "$(summary_of "$RUN/first_call_preloaded")"
}
first_call() {
    local call=tenancy.has_permission options='-c session_preload_libraries=' answer
    [[ $1 != partner ]] || call=bench.trivial
    [[ $1 != preloaded ]] || options='-c session_preload_libraries=pg_tenancy'
    # Claims are set in the same statement; the ids are literals, so that no other function is called.
    answer=$(PGOPTIONS=$options psql -At -F ' ' -c "SELECT set_config('request.jwt.claims', '$FIRST_TOKEN', true) = '', $call('$FIRST_TENANT', 'docs.read'),
        extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000")
    [[ $answer == 'f t '* ]] || die "first call as $1: $answer"
    echo "${answer#f t }"
}
