# shellcheck shell=bash disable=SC2154,SC2034 # RUN and the like come from tools/, and run.sh uses what is set here
# Sourced by run.sh: choosing rows, making tables when a row first needs them, timing, verdicts.

OUT=$REPO/target/bench
ROWS=$RUN/rows
mkdir -p "$OUT"
: >"$ROWS"
: >"$OUT/plans.txt"

# value SQL [NAME=VALUE…]: the one value that SQL answers; :'NAME' in it is the quoted value.
value() {
    local sql=$1 given=() pair
    shift
    for pair; do given+=(-v "$pair"); done
    psql -At "${given[@]}" <<<"SET client_min_messages = warning; $sql"
}

# wanted NAME…: whether TESTS names one of these rows, or begins one's name. Without TESTS: all.
wanted() {
    local name chosen
    [[ -n ${TESTS:-} ]] || return 0
    for name; do
        for chosen in $TESTS; do [[ $name != "$chosen"* ]] || return 0; done
    done
    return 1
}

# need TABLE…: makes those tables of schema bench that do not exist yet.
declare -A MADE=()
need() {
    local table tenants rows tenant
    for table; do
        [[ -z ${MADE[$table]:-} ]] || continue
        MADE[$table]=1
        tenants=1000 rows=1000000
        [[ $table != *_10k ]] || tenants=10000
        [[ $table != small* ]] || rows=100000
        tenant=t.id
        if [[ $table == *_bigint ]]; then
            tenant=t.t::bigint
            value "UPDATE tenancy.tenants SET key = t.t FROM bench.tenants t WHERE t.id = tenants.id AND key IS NULL"
        fi
        psql -v name="$table" -v tenants="$tenants" -v rows="$rows" -v tenant="$tenant" -f benches/table.sql
        case $table in
        active_seq* | small_active)
            protect "$table" docs
            value "DROP INDEX bench.${table}_tenant_id_idx"
            ;;
        active*)
            value "ALTER TABLE bench.$table ADD PRIMARY KEY (id)"
            protect "$table" docs
            ;;
        membership*) protect "$table" docs "mode => 'membership'" ;;
        open*_bigint)
            [[ $table == *_seq_* ]] || value "CREATE INDEX ON bench.$table (tenant_id)"
            value "ALTER TABLE bench.$table ENABLE ROW LEVEL SECURITY"
            value "CREATE POLICY member ON bench.$table TO authenticated USING (tenancy.has_permission(tenant_id, 'docs.read'))"
            ;;
        open_seq* | small) psql -v name="$table" -f benches/policies.sql ;;
        open*)
            value "CREATE INDEX ON bench.$table (tenant_id)"
            psql -v name="$table" -f benches/policies.sql
            ;;
        *) die "what is table $table?" ;;
        esac
        value "VACUUM ANALYZE bench.$table"
    done
}
protect() { value "SELECT tenancy.protect_table('bench.$1', resource => '$2'${3:+, $3})" >/dev/null; }

# emit NAME le|ge BAR UNIT OTHER FIGURES [VERDICT]: one row, printed and kept. FIGURES is what bench.summary gives. The
# bar is met if the figure's whole spread keeps it, missed if all of it breaks it, undecided otherwise. No bar: -.
emit() {
    wanted "$1" || return 0
    # A command that failed inside "$(…)" fails here.
    [[ $6 =~ ^([0-9.eE+-]+\|){5}[0-9.eE+-]+$ ]] || die "$1 gave no figures: $6"
    awk -F '|' -v OFS='|' -v name="$1" -v op="$2" -v bar="$3" -v unit="$4" -v other="$5" -v verdict="${7:-}" '
        {
            if (verdict != "") ;
            else if (bar == "-") verdict = "report"
            else if (op == "le" ? $6 <= bar : $5 >= bar) verdict = "met"
            else if (op == "le" ? $5 > bar : $6 < bar) verdict = "missed"
            else verdict = "undecided"
            print name, $1, $2, $3, $4, $5, $6, op, bar, unit, verdict, other
        }' <<<"$6" >>"$ROWS"
    tail -n 1 "$ROWS" | print_rows
}

HEADER='name|ours ms|other ms|ratio|figure|spread|bar|verdict|other'
# Rows as cells: a figure that is not the ratio has its unit, a bar its direction.
cells() {
    awk -F '|' -v OFS='|' '
        function short(x) { return sprintf(x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : x >= 1 ? "%.2f" : "%.3f", x) }
        {
            unit = $10 == "" ? "" : " " $10
            print $1, short($2), short($3), sprintf("%.3f", $4), sprintf("%.3f", $5) unit, sprintf("%.3f to %.3f", $6, $7),
                $9 == "-" ? "" : ($8 == "le" ? "<= " : ">= ") $9 unit, $11, $12
        }'
}
print_rows() { cells | print_cells; }
print_cells() { awk -F '|' '{ printf "%-30s %9s %9s %8s %13s %20s %12s %-10s %s\n", $1, $2, $3, $4, $5, $6, $7, $8, $9 }'; }

# The results as JSON, and as the table in docs/performance.md.
write_results() {
    awk -F '|' '
        function text(s) { gsub(/["\\]/, "\\\\&", s); return "\"" s "\"" }
        BEGIN { print "[" }
        {
            printf "%s  {\"name\": %s, \"ours_ms\": %.6f, \"other\": %s, \"other_ms\": %.6f, \"ratio\": %.4f, \"figure\": %.4f, \"unit\": %s, \"spread\": [%.4f, %.4f], \"bar\": %s, \"verdict\": %s}",
                (NR > 1 ? ",\n" : ""), text($1), $2, text($12), $3, $4, $5, text($10 == "" ? "ratio" : $10), $6, $7,
                ($9 == "-" ? "null" : text(($8 == "le" ? "<= " : ">= ") $9)), text($11)
        }
        END { print "\n]" }' "$ROWS" >"$OUT/results.json"
    { printf '%s\n' "$HEADER"; sed 's/[^|]*|/---|/g; s/[^|]*$/---/; q' <<<"$HEADER"; cells <"$ROWS"; } |
        sed 's/|/ | /g; s/^/| /; s/$/ |/; s/<=/≤/; s/>=/≥/' >"$OUT/results.md"
    say "written: target/bench/results.json, results.md, plans.txt"
}

as_user() { printf "SELECT bench.become(%s, %s, '%s')" "$1" "${2:-NULL}" "${3:-authenticated}"; }
BYPASS='RESET ROLE' # back to the superuser, whom no policy binds

# compare NAME BAR OTHER OURS-SETUP OURS OTHER-SETUP OTHER-QUERY [RUNS]: two queries; BAR may be -. RUNS of a quick one are timed together.
compare() {
    wanted "$1" || return 0
    local both=(a="$4" b="$5" c="$6" d="$7" turns="$TURNS" seconds="$SECONDS_A_ROW" runs="${8:-1}") figures
    explain "$1" "${both[@]}"
    figures=$(value "SELECT bench.compare(:'a', :'b', :'c', :'d', :turns, :seconds, :runs)" "${both[@]}")
    emit "$1" le "$2" '' "$3" "$figures"
}
# compare_plans: the same where both must have the same plan, or the row is missed. With - for a bar that is all it asks.
compare_plans() {
    wanted "$1" || return 0
    local both=(a="$4" b="$5" c="$6" d="$7") ours other verdict=''
    explain "$1" "${both[@]}"
    ours=$(value "SELECT bench.plan_shape(:'a', :'b')" "${both[@]}")
    other=$(value "SELECT bench.plan_shape(:'c', :'d')" "${both[@]}")
    if [[ $ours != "$other" ]]; then
        ours="other plan: $ours; the literal gets: $other" verdict=missed
    else
        ours="same plan: $ours"
        [[ $2 != - ]] || verdict=met
    fi
    emit "$1" le "$2" '' "$3; $ours" "$(value "SELECT bench.compare(:'a', :'b', :'c', :'d', $TURNS, $SECONDS_A_ROW, ${8:-1})" "${both[@]}")" "$verdict"
}
# speedup NAME OTHER OURS-SETUP OURS OTHER-SETUP OTHER-QUERY: the ratio and its spread the other way round, without a bar.
inverted() { awk -F '|' -v OFS='|' '{ print $1, $2, 1 / $3, 1 / $4, 1 / $6, 1 / $5 }'; }
speedup() {
    wanted "$1" || return 0
    local figures
    explain "$1" a="$3" b="$4" c="$5" d="$6"
    figures=$(value "SELECT bench.compare(:'a', :'b', :'c', :'d', $TURNS, $SECONDS_A_ROW)" a="$3" b="$4" c="$5" d="$6")
    emit "$1" ge - '' "$2" "$(inverted <<<"$figures")"
}
# explain NAME A=… B=… C=… D=…: both plans, for whoever doubts a row. COPY has none.
explain() {
    [[ $* != *COPY* ]] || return 0
    {
        printf '%s\nours:\n' "== $1"
        value "SELECT '    ' || bench.plan(:'a', :'b')" "${@:2}"
        printf 'other:\n'
        value "SELECT '    ' || left(bench.plan(:'c', :'d'), 300)" "${@:2}"
    } >>"$OUT/plans.txt"
}

# summary_of FILE: bench.summary of lines `ours other [figure]`.
summary_of() {
    value "SELECT bench.summary('{$(column_of 1 "$1")}', '{$(column_of 2 "$1")}', nullif('{$(column_of 3 "$1")}', '{}')::float8[])"
}
column_of() { awk -v n="$1" 'NF >= n { printf "%s%s", sep, $n; sep = "," }' "$2"; }
