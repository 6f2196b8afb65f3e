# shellcheck shell=bash disable=SC2154 # RUN and the like come from tools/ and run.sh
# Sourced by run.sh: what counting usage costs writers. A counter row makes each wait for the commit of the one before it,
# so commits must be durable here: a server of its own, as one runs it in production.

bench_usage_hot() {
    cluster_start durable "fsync = on" "synchronous_commit = on" "full_page_writes = on" "autovacuum = on" \
        "shared_buffers = '256MB'" "max_wal_size = '4GB'" "log_error_verbosity = 'default'"
    psql -f benches/usage_hot.sql >/dev/null
    local clients
    for clients in 2 8 32; do
        if wanted "usage_hot_$clients" "quota_far_$clients" || { ((clients == 32)) && wanted usage_hot_vs_counter usage_hot_separate; }; then
            usage_turns "$clients"
        fi
    done
    if wanted quota_near; then usage_near; fi
    usage_is_exact
    cluster_stop durable
    cluster_use server
}

# usage_turns CLIENTS: all kinds of transaction in turns, the first of which warms.
usage_turns() {
    local turn kind order=(nothing record far)
    local -A took
    (($1 < 32)) || order+=(counter separate_nothing separate_record)
    for ((turn = 0; turn <= LOAD_TURNS; turn++)); do
        for kind in "${order[@]}"; do
            load "usage_$kind" "$((LOAD_SECONDS + 1))" "$1" -M prepared
            took[$kind]=$(ms)
        done
        order=("${order[@]:1}" "${order[0]}")
        ((turn > 0)) || continue
        echo "${took[record]} ${took[nothing]}" >>"$RUN/usage_hot_$1"
        echo "${took[far]} ${took[nothing]}" >>"$RUN/quota_far_$1"
        (($1 == 32)) || continue
        echo "${took[record]} ${took[counter]}" >>"$RUN/usage_vs_counter"
        echo "${took[separate_record]} ${took[separate_nothing]}" >>"$RUN/usage_separate"
    done
    emit "usage_hot_$1" ge 0.90 '' "the same transactions recording nothing, $1 clients; ratio of tps" "$(tps_summary "$RUN/usage_hot_$1")"
    emit "quota_far_$1" ge 0.85 '' "the same transactions recording nothing, $1 clients; ratio of tps" "$(tps_summary "$RUN/quota_far_$1")"
    (($1 == 32)) || return 0
    emit usage_hot_vs_counter ge 3 '' "one counter row for the tenant, $1 clients; ratio of tps" "$(tps_summary "$RUN/usage_vs_counter")"
    emit usage_hot_separate ge - '' "SELECT 1 as a statement of its own; ours SELECT record_usage(…); $1 clients; ratio of tps" \
        "$(tps_summary "$RUN/usage_separate")"
}

# 32 clients that try until a limit is reached, which is raised a little each turn.
usage_near() {
    local turn tries hard=0 used
    for ((turn = 0; turn < LOAD_TURNS; turn++)); do
        hard=$((hard + 1000))
        value "SELECT tenancy.set_quota('10000000-0000-4000-8000-000000000001', 'api.near', hard => $hard, period => 'none')" >/dev/null
        for ((tries = 0; tries < 20; tries++)); do
            load usage_near 1 32 -M prepared
            used=$(value "SELECT sum(total) FROM tenancy.usage WHERE meter = 'api.near'")
            ((used < hard)) || break
        done
        echo "$(ms) $used $hard $(value 'SELECT count(*) FROM bench.near')" >>"$RUN/usage_near"
    done
    local deadlocks figures
    deadlocks=$(value "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    figures=$(awk '{ print $2 / $3, 1, ($2 == $3 && $4 == $3) ? 1 : $2 / $3 + ($4 - $3) / $3 }' "$RUN/usage_near" >"$RUN/usage_near_exact"
        summary_of "$RUN/usage_near_exact")
    local verdict=met
    awk '$2 != $3 || $4 != $3 { exit 1 }' "$RUN/usage_near" && ((deadlocks == 0)) || verdict=missed
    emit quota_near ge 1 '' "the limit, $LOAD_TURNS times; figure: used and rows of it; 32 clients; $deadlocks deadlocks; $(awk '{ n += $1 } END { printf "%.1f", n / NR }' "$RUN/usage_near") ms a transaction, most of them refused" \
        "$figures" "$verdict"
}

# What was counted is what was committed, or no figure means anything.
usage_is_exact() {
    local wrong
    wrong=$(value "SELECT count(*) FROM (VALUES ('api.calls', 'calls'), ('api.far', 'far')) m (meter, title)
        WHERE (SELECT coalesce(sum(total), 0) FROM tenancy.usage u WHERE u.meter = m.meter) <> (SELECT count(*) FROM bench.work w WHERE w.title = m.title)")
    [[ $wrong == 0 ]] || die "what was counted is not what was committed"
}
