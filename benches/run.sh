# shellcheck shell=bash
# The benchmark's body, sourced by tools/bench: every figure is two things timed in turns on one cluster, as
# medians, and their ratio. Prints a table and writes target/bench/results.json. QUICK=1 takes fewer turns.

psql -f benches/data.sql >/dev/null
psql -f benches/compare.sql >/dev/null
turns=15
[[ -z ${QUICK:-} ]] || turns=5
mkdir -p target/bench
: >"$RUN/rows"

# compare NAME OTHER OURS-TABLE OURS-SQL OTHER-SQL: ours as a user of the middle tenant, the other unprotected.
compare() {
    psql -At -F '|' -c "SELECT '$1', ours, '$2', other, spread FROM bench.compare(\$q\$$3\$q\$, \$q\$$4\$q\$, $turns)" >>"$RUN/rows"
}
tenant="(SELECT id FROM tenancy.tenants WHERE slug = 't500')"
literal=$(psql -At -c "SELECT $tenant")

compare active_index 'literal predicate, no row security' \
    'SELECT count(*) FROM bench.indexed' \
    "SELECT count(*) FROM bench.plain_indexed WHERE tenant_id = '$literal'"
compare active_seq 'literal predicate, no row security' \
    'SELECT count(*) FROM bench.seq' \
    "SELECT count(*) FROM bench.plain WHERE tenant_id = '$literal'"
compare call_site_in_or 'the same OR with a constant' \
    "SELECT count(*) FROM bench.plain WHERE tenancy.has_permission('seq.read') OR id < 0" \
    'SELECT count(*) FROM bench.plain WHERE amount >= 0 OR id < 0'
compare tenant_per_row 'literal predicate' \
    "SELECT count(*) FROM bench.plain WHERE tenancy.has_permission(tenant_id, 'seq.read')" \
    "SELECT count(*) FROM bench.plain WHERE tenant_id = '$literal'"

awk -F '|' '
    BEGIN { printf "%-18s %10s %10s %7s  %s\n", "name", "ours ms", "other ms", "ratio", "other (spread of the ratio)" }
    { printf "%-18s %10.3f %10.3f %7.2f  %s (%s)\n", $1, $2, $4, $2 / $4, $3, $5 }' "$RUN/rows"
awk -F '|' '
    BEGIN { print "[" }
    { printf "%s  {\"name\": \"%s\", \"ours_ms\": %s, \"other\": \"%s\", \"other_ms\": %s, \"ratio\": %.3f}", (NR > 1 ? ",\n" : ""), $1, $2, $3, $4, $2 / $4 }
    END { print "\n]" }' "$RUN/rows" >target/bench/results.json
say "written: target/bench/results.json"
