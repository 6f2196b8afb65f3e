# shellcheck shell=bash disable=SC2154 # RUN, BINDIR and REPO come from tools/
# The benchmark's rows, sourced by tools/bench. docs/performance.md says what each means. QUICK=1: fewer turns, a smaller
# memory row, 300,000 rows for staged_lock, no churn_*_hot, no tables of 10,000 tenants but where a row is about them. TESTS="active_seq churn": only those.
# shellcheck source=lib.sh
source benches/lib.sh
# shellcheck source=load.sh
source benches/load.sh
# shellcheck source=staged.sh
source benches/staged.sh
# shellcheck source=usage_hot.sh
source benches/usage_hot.sh
# shellcheck source=usage_shared.sh
source benches/usage_shared.sh
TURNS=15 SECONDS_A_ROW=15 LOAD_TURNS=6 LOAD_SECONDS=3 WARM_SECONDS=3 REVOKES=10 MEMORY_CONNECTIONS=500 STAGED_ROWS=10000000 STAGED_ALONE=30 VARIANTS=('' _10k)
[[ -z ${QUICK:-} ]] || TURNS=7 SECONDS_A_ROW=1.5 LOAD_TURNS=3 LOAD_SECONDS=1 WARM_SECONDS=2 REVOKES=3 MEMORY_CONNECTIONS=20 STAGED_ROWS=300000 STAGED_ALONE=10 VARIANTS=('')

for file in data compare cold baselines/template_b baselines/template_c baselines/claims_d; do
    psql -f "benches/$file.sql" >/dev/null
done
tenant() { value "SELECT bench.tenant_id($1)"; }
# Tenant 500 has 901 rows of tables of 1,000 tenants and 90 or 91 of those of 10,000; tenant 1 has 100,000 of both.
small=$(tenant 500) big=$(tenant 1)
# in_list USER: the tenants of that user as literals.
in_list() { value "SELECT 'tenant_id IN (' || string_agg(quote_literal(t.id), ', ') || ')' FROM bench.tenants t JOIN bench.users u ON t.t <@ u.tenants WHERE u.u = $1"; }
printf '%s\n' "$HEADER" | print_cells

# Mode active, as protect_table writes it. The other reads the same table as superuser.
for v in "${VARIANTS[@]}"; do
    if wanted "active_index$v" "active_skew_small$v" "active_skew_big$v" "active_skew_small_page$v" "active_skew_big_page$v"; then need "active$v"; fi
    compare "active_index$v" 1.25 'literal, no row security' "$(as_user 1)" "SELECT count(*) FROM bench.active$v" \
        "$BYPASS" "SELECT count(*) FROM bench.active$v WHERE tenant_id = '$small'" 20
    if wanted "active_seq$v"; then need "active_seq$v"; fi
    compare "active_seq$v" 1.20 'literal, no row security' "$(as_user 1)" "SELECT count(*) FROM bench.active_seq$v" \
        "$BYPASS" "SELECT count(*) FROM bench.active_seq$v WHERE tenant_id = '$small'"
    # A sum reads the rows themselves. A page by primary key needs another plan for a big tenant, whose rows come up soon
    # in the key's order, than for a small one.
    for size in small big; do
        who=1 literal="tenant_id = '$small'"
        [[ $size == small ]] || who=2 literal="tenant_id = '$big'"
        compare_plans "active_skew_$size$v" 1.20 'literal, no row security' "$(as_user $who)" "SELECT sum(amount) FROM bench.active$v" \
            "$BYPASS" "SELECT sum(amount) FROM bench.active$v WHERE $literal" 3
        compare_plans "active_skew_${size}_page$v" - 'literal, 20 rows by primary key' \
            "$(as_user $who)" "SELECT sum(id) FROM (SELECT id FROM bench.active$v ORDER BY id LIMIT 20) AS page" \
            "$BYPASS" "SELECT sum(id) FROM (SELECT id FROM bench.active$v WHERE $literal ORDER BY id LIMIT 20) AS page" 10
    done
done

# Users of N tenants, by one permissive policy USING (tenancy.has_permission(tenant_id, 'docs.read')).
declare -A member=([1]=11 [10]=12 [100]=13 [1000]=14)
for v in "${VARIANTS[@]}"; do
    # Of 10,000 tenants, another 1,000, so that the big one is not among them.
    [[ -z $v ]] || member[1000]=15
    for n in 1 10 100 1000; do
        if wanted "member_index_$n$v" && ((n < 1000)); then
            need "open$v"
            compare "member_index_$n$v" 1.30 'IN list of literals' "$(as_user "${member[$n]}")" "SELECT count(*) FROM bench.open$v" \
                "$BYPASS" "SELECT count(*) FROM bench.open$v WHERE $(in_list "${member[$n]}")"
        fi
        if wanted "member_seq_$n$v" "member_seq_${n}_vs_any_select$v"; then
            need "open_seq$v"
            compare "member_seq_$n$v" 1.30 'IN list of literals' "$(as_user "${member[$n]}")" "SELECT count(*) FROM bench.open_seq$v" \
                "$BYPASS" "SELECT count(*) FROM bench.open_seq$v WHERE $(in_list "${member[$n]}")"
            compare "member_seq_${n}_vs_any_select$v" 1.0 'policy tenant_id = ANY ((SELECT array))' \
                "$(as_user "${member[$n]}")" "SELECT count(*) FROM bench.open_seq$v" \
                "$(as_user "${member[$n]}" NULL any_select)" "SELECT count(*) FROM bench.open_seq$v"
        fi
    done
done
if wanted member_protected_10; then
    need membership
    compare member_protected_10 1.30 'IN list of literals; ours by protect_table in mode membership' "$(as_user 12)" 'SELECT count(*) FROM bench.membership' \
        "$BYPASS" "SELECT count(*) FROM bench.membership WHERE $(in_list 12)"
fi

# The policy alone, without the isolation that protect_table puts beside it: every row passes through the OR and is let in
# by its first arm. The other is the same OR: a comparison that every row passes but no planner folds, then the owner as a literal.
if wanted compound_seq; then
    need open_seq
    compare compound_seq 1.15 "amount >= 0 OR owner_id = literal" "$(as_user 1 NULL compound)" 'SELECT count(*) FROM bench.open_seq' \
        "$BYPASS" "SELECT count(*) FROM bench.open_seq WHERE amount >= 0 OR owner_id = '$(value 'SELECT bench.user_id(1)')'"
fi

# Three protected tables by the primary key's order; by hand, row security's predicate is written for each of the three.
if wanted join_rls plan_time; then
    need active
    psql -f benches/join.sql >/dev/null
fi
join='SELECT sum(id) FROM (SELECT d.id FROM bench.active d JOIN bench.folders f ON f.id = d.folder_id JOIN bench.authors a ON a.id = d.author_id'
compare join_rls 1.30 'literal on each of the three tables' "$(as_user 1)" "$join ORDER BY d.id LIMIT 20) AS page" \
    "$BYPASS" "$join WHERE d.tenant_id = '$small' AND f.tenant_id = '$small' AND a.tenant_id = '$small' ORDER BY d.id LIMIT 20) AS page" 5

# Writes. Both tables have the tenant index, the foreign key to tenancy.tenants, NOT NULL and the default.
if wanted insert_bulk insert_copy; then psql -v file="$RUN/rows.copy" -f benches/insert.sql >/dev/null; fi
insert="SELECT n, '$small', n % 100 FROM generate_series(1, 100000) n"
compare insert_bulk 1.15 'the same table unprotected' "TRUNCATE bench.insert_ours; $(as_user 1)" "INSERT INTO bench.insert_ours $insert" \
    'TRUNCATE bench.insert_plain' "INSERT INTO bench.insert_plain $insert"
compare insert_copy 1.15 'the same table unprotected; both as superuser, since Postgres refuses COPY FROM under row security' \
    'TRUNCATE bench.insert_ours' "COPY bench.insert_ours FROM '$RUN/rows.copy'" \
    'TRUNCATE bench.insert_plain' "COPY bench.insert_plain FROM '$RUN/rows.copy'"

# A table whose rows and bytes are counted, and one whose are not; both protected.
if wanted usage_insert usage_insert_1000; then psql -f benches/usage_insert.sql >/dev/null; fi
compare usage_insert 1.05 'the same protected table, unmetered; one statement' "TRUNCATE bench.usage_metered; $(as_user 1)" "INSERT INTO bench.usage_metered $insert" \
    "TRUNCATE bench.usage_plain; $(as_user 1)" "INSERT INTO bench.usage_plain $insert"
many="'$small', 1000, 100)"
compare usage_insert_1000 1.20 'the same; 1,000 statements of 100 rows in one transaction' "TRUNCATE bench.usage_metered; $(as_user 1)" \
    "SELECT bench.insert_many('bench.usage_metered', $many" "TRUNCATE bench.usage_plain; $(as_user 1)" "SELECT bench.insert_many('bench.usage_plain', $many"

# One check of a warm call site, by a user who holds all tenants, less an empty call: uuid_ne compares 16 bytes and no more.
if wanted warm_check; then
    need open_seq
    both=(a="$(as_user 14)" b='SELECT count(*) FROM bench.open_seq' c="$BYPASS"
        d="SELECT count(*) FROM bench.open_seq WHERE uuid_ne(tenant_id, '00000000-0000-4000-8000-000000000000')")
    explain warm_check "${both[@]}"
    emit warm_check le 10 ns 'uuid_ne(tenant_id, literal) in its place; the figure is the difference per row' \
        "$(value "SELECT bench.compare(:'a', :'b', :'c', :'d', $TURNS, $SECONDS_A_ROW, 1, 1000000)" "${both[@]}")"
fi

if wanted cold_user; then
    figures=$(value "SELECT bench.cold_users($TURNS, 20)")
    emit cold_user le 4 '' "one-row SELECT by key in plpgsql; ours takes $(awk -F '|' '{ printf "%.0f", $1 * 1000 }' <<<"$figures") µs" "$figures"
fi
if wanted cold_user_10k cold_user_10k_memory; then
    # Each session meets ten users; the cache is large enough for all, so that what one adds can be told.
    for ((turn = 0; turn < (TURNS + 4) / 5; turn++)); do
        value "SET tenancy.cache_size = '1GB'; SELECT ms || ' ' || mb FROM bench.cold_users_10k()"
    done >"$RUN/cold_10k"
    awk '{ print $1, 15, $1 }' "$RUN/cold_10k" >"$RUN/cold_10k_ms"
    awk '{ print $2, 4, $2 }' "$RUN/cold_10k" >"$RUN/cold_10k_mb"
    emit cold_user_10k le 15 ms 'the bar' "$(summary_of "$RUN/cold_10k_ms")"
    emit cold_user_10k_memory le 4 MB 'the bar; MB by cache_stats(), not ms' "$(summary_of "$RUN/cold_10k_mb")"
fi

# Planning, with parsing and rewriting, where policies come in.
# plan NAME OTHER OURS-SETUP OURS OTHER
plan() {
    wanted "$1" || return 0
    explain "$1" a="$3" b="$4" c="$BYPASS" d="$5"
    emit "$1" le 1.5 '' "$2" "$(value "SELECT bench.compare_planning(:'a', :'b', 'RESET ROLE', :'d', $TURNS, 20)" a="$3" b="$4" d="$5")"
}
join='SELECT count(*) FROM bench.active a JOIN bench.folders b ON b.id = a.folder_id JOIN bench.authors c ON c.id = a.author_id
    JOIN bench.folders d ON d.id = a.folder_id JOIN bench.authors e ON e.id = a.author_id'
plan plan_time 'literal on each of five tables; parsing, rewriting and planning' "$(as_user 1)" "$join" \
    "$join WHERE a.tenant_id = '$small' AND b.tenant_id = '$small' AND c.tenant_id = '$small' AND d.tenant_id = '$small' AND e.tenant_id = '$small'"
if wanted plan_time_10k; then need membership_10k; fi
plan plan_time_10k 'one literal; ours by protect_table in mode membership for a user of 10,000 tenants' "$(as_user 21)" \
    'SELECT count(*) FROM bench.membership_10k' "SELECT count(*) FROM bench.membership_10k WHERE tenant_id = '$small'"

# What one would write without the extension, on 100,000 rows without index; ours of the same kind on the same rows.
if wanted vs_template_b vs_template_b_select vs_template_c vs_claims_d; then need small small_active; fi
others=(template_b 'policy tenant_id = plpgsql function over the token' template_b_select 'the same function in (SELECT …)'
    template_c "policy tenant_id = ((SELECT jwt()) -> … ->> …)::uuid")
for ((i = 0; i < ${#others[@]}; i += 2)); do
    speedup "vs_${others[i]}" "${others[i + 1]}; figure: how often ours fits into it; 100,000 rows" "$(as_user 1 500)" 'SELECT count(*) FROM bench.small_active' \
        "$(as_user 1 500 "${others[i]}")" 'SELECT count(*) FROM bench.small'
done
speedup vs_claims_d 'policy with plpgsql over the claims row, 10 tenants; figure: how often ours fits into it; 100,000 rows' "$(as_user 12)" \
    'SELECT count(*) FROM bench.small' "$(as_user 12 NULL claims_d); SELECT claims_d.pre_request()" 'SELECT count(*) FROM bench.small'

if wanted request request_vs_d request_literal_vs_d; then bench_request; fi
if wanted churn_10 churn_100 churn_1000; then bench_churn '' 19999; fi
if [[ -z ${QUICK:-} ]] && wanted churn_10_hot churn_100_hot churn_1000_hot; then bench_churn _hot 10999; fi
if wanted stampede; then bench_stampede; fi
FIRST_TOKEN=$(value 'SELECT bench.token(1, 500)') FIRST_TENANT=$small
if wanted first_call first_call_preloaded; then bench_first_call; fi
if wanted revoke; then
    psql -f benches/revoke.sql >/dev/null
    emit revoke le 1.2 '' 'the same role with 10 holders, not 100,000; edit, commit, next check in another backend' "$(value "SELECT bench.compare_revoke($TURNS * 4)")"
fi
if wanted memory; then bench_memory; fi
if wanted staged_lock; then bench_staged; fi
if wanted usage_hot_{2,8,32,vs_counter,separate} quota_far_{2,8,32} quota_near; then bench_usage_hot; fi
if wanted usage_shared; then bench_usage_shared; fi

# Tenants that tables name by the host's own number. Late, because from here on the tenants have keys.
if wanted active_seq_bigint; then need active_seq_bigint; fi
compare active_seq_bigint 1.20 'literal, no row security' "$(as_user 1)" 'SELECT count(*) FROM bench.active_seq_bigint' \
    "$BYPASS" 'SELECT count(*) FROM bench.active_seq_bigint WHERE tenant_id = 500'
numbers='tenant_id IN (500, 501, 502, 503, 504, 505, 506, 507, 508, 509)'
if wanted member_index_10_bigint; then need open_bigint; fi
compare member_index_10_bigint 1.30 'IN list of literals' "$(as_user 12)" 'SELECT count(*) FROM bench.open_bigint' \
    "$BYPASS" "SELECT count(*) FROM bench.open_bigint WHERE $numbers"
if wanted member_seq_10_bigint; then need open_seq_bigint; fi
compare member_seq_10_bigint 1.30 'IN list of literals' "$(as_user 12)" 'SELECT count(*) FROM bench.open_seq_bigint' \
    "$BYPASS" "SELECT count(*) FROM bench.open_seq_bigint WHERE $numbers"

# With the users table attached, last because it stays so: a role of 100,000 holders is queued, one of 10 is projected.
if wanted revoke_synced token_hook; then
    wanted revoke || psql -f benches/revoke.sql >/dev/null
    psql -f benches/sync.sql >/dev/null
    emit revoke_synced le 1.2 '' 'the same edit of a role with 10 holders; until its commit, users table attached' \
        "$(value "SELECT bench.compare_edits(bench.edits('wide'), bench.edits('narrow'), $REVOKES)")"
    emit revoke_synced_off le - '' 'the same edit with tenancy.claims_sync = off' \
        "$(value "SELECT bench.compare_edits(bench.edits('wide', '{revoke,revoke}'), bench.edits('wide', '{grant,grant}'), $REVOKES, '', 'SET tenancy.claims_sync = off')")"
    template="ARRAY['UPDATE bench.template_roles SET permissions = ''{docs.read}'' WHERE id = 1', 'UPDATE bench.template_roles SET permissions = ''{cache.ten,docs.read}'' WHERE id = 1']"
    emit revoke_synced_vs_b ge 10 '' 'a loop over 10,000 holders, as the template has it; ours queues them' \
        "$(value "SELECT bench.compare_edits(bench.edits('ten'), $template, $REVOKES)" | inverted)"
    emit revoke_synced_all_vs_b ge - '' 'the same loop; ours projects all 10,000 at once: tenancy.claims_sync_limit = 10000' \
        "$(value "SELECT bench.compare_edits(bench.edits('ten'), $template, $REVOKES, 'SET tenancy.claims_sync_limit = 10000')" | inverted)"
    emit token_hook le 2 ms 'the bar; ms, a user of 100 tenants, not known to the backend yet' \
        "$(value "SELECT bench.summary(t, array_fill(2::float8, ARRAY[cardinality(t)]), t) FROM bench.time_hook(100) t")"
fi

[[ -s $ROWS ]] || die "TESTS names no row"
write_results
