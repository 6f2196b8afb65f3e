# shellcheck shell=bash
# The demo's body, sourced by tools/demo: a small invoices application, then pgbench's schema, which nobody
# designed for tenancy. Every step prints the SQL it ran and what came back; a surprise ends it with status 1.

ANN='11111111-1111-4111-8111-111111111111'  # Acme's bookkeeper
BOB='22222222-2222-4222-8222-222222222222'  # Globex's owner
EVE='33333333-3333-4333-8333-333333333333'  # member of Acme, no role
ACME='aaaaaaaa-0000-4000-8000-000000000001'
GLOBEX='bbbbbbbb-0000-4000-8000-000000000002'
TOKEN="{\"sub\": \"$ANN\", \"role\": \"authenticated\", \"app_metadata\": {\"perms\": [\"invoices.read\"]}}"

# A user's request, as PostgREST makes it: one transaction, claims and role inside. An error is an answer too.
request() {
    { psql -At 2>&1 || true; } <<SQL | sed -n 's/^psql:[^E]*//; /./p'
\\set VERBOSITY sqlstate
BEGIN;
SELECT set_config('request.jwt.claims', '$1', true), set_config('role', 'authenticated', true) \\g /dev/null
$2
COMMIT;
SQL
}
claims() { printf '{"sub": "%s", "role": "authenticated"}' "$1"; }

psql <<SQL >/dev/null
CREATE EXTENSION pg_tenancy;
CREATE ROLE authenticated NOLOGIN;
SELECT tenancy.enable_role('authenticated');
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('$ACME', 'acme', 'Acme'), ('$GLOBEX', 'globex', 'Globex');
SELECT tenancy.create_role('bookkeeper', '{invoices.*}');
SELECT tenancy.add_member('$ACME', '$ANN', '{bookkeeper}');
SELECT tenancy.add_member('$ACME', '$EVE');
SELECT tenancy.add_member('$GLOBEX', '$BOB', '{owner}');
CREATE TABLE invoices (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, amount numeric NOT NULL);
INSERT INTO invoices (tenant_id, amount)
SELECT CASE WHEN n % 2 = 0 THEN '$ACME' ELSE '$GLOBEX' END::uuid, n FROM generate_series(1, 2000) n;
GRANT SELECT, INSERT, UPDATE, DELETE ON invoices TO authenticated;
ANALYZE invoices;
SQL

step '1. Before: a user of Acme asks for the invoices of Globex'
query="SELECT count(*) FROM invoices WHERE tenant_id = '$GLOBEX';"
show "$query"
before=$(request "$(claims $ANN)" "$query")
show "-> $before"
expect 'before' "$before" 1000

step '2. Protect the table'
show "SELECT tenancy.protect_table('invoices');"
psql -c "SELECT tenancy.protect_table('invoices')" >/dev/null 2>"$RUN/notices" || { cat "$RUN/notices"; exit 1; }

step '3. After: the same question, and an invoice written into Globex'
after=$(request "$(claims $ANN)" "$query")
own=$(request "$(claims $ANN)" 'SELECT count(*) FROM invoices;')
show "$query -> $after   (her own: $own)"
insert="INSERT INTO invoices (tenant_id, amount) VALUES ('$GLOBEX', 1);"
refused=$(request "$(claims $ANN)" "$insert" | head -n 1)
show "$insert -> $refused"
expect 'after' "$after $own" '0 1000'
expect 'cross-tenant insert' "${refused##* }" 42501

step '4. A session is open and warm; another revokes the role; the token still names the permission'
coproc A { stdbuf -oL "$BINDIR/psql" -X -q -At 2>&1; }
a_process=$A_PID # bash forgets A_PID as soon as it ends
ask() { printf '%s\n' "$1" >&"${A[1]}"; IFS= read -r -t 30 REPLY <&"${A[0]}" || die 'session A is silent'; }
printf "SET tenancy.claims_scope = 'session';\nSET request.jwt.claims = '%s';\nSET ROLE authenticated;\n" "$TOKEN" >&"${A[1]}"
ask 'SELECT count(*) FROM invoices;'
show "A: SELECT count(*) FROM invoices; -> $REPLY"
expect 'warm' "$REPLY" 1000
sql "SELECT tenancy.revoke_role('$ACME', '$ANN', 'bookkeeper')" >/dev/null
start=$(date +%s%N)
ask 'SELECT count(*) FROM invoices;'
ms=$(awk -v ns=$(($(date +%s%N) - start)) 'BEGIN { printf "%.1f", ns / 1e6 }')
show "B: SELECT tenancy.revoke_role('…acme', '…ann', 'bookkeeper');"
show "A: SELECT count(*) FROM invoices; -> $REPLY   ($ms ms after the revoke returned)"
expect 'revoked' "$REPLY" 0
ask "SELECT tenancy.claim('app_metadata.perms');"
show "A: SELECT tenancy.claim('app_metadata.perms'); -> $REPLY"
expect 'token' "$REPLY" '["invoices.read"]'

step '5. A group lets a user in'
grant="SELECT tenancy.create_group('$ACME', 'finance'), tenancy.grant_role_to_group('$ACME', 'finance', 'bookkeeper'),
       tenancy.add_group_member('$ACME', 'finance', '$ANN');"
show "${grant//$'\n'/$'\n    '}"
sql "$grant" >/dev/null
ask 'SELECT count(*) FROM invoices;'
show "A: SELECT count(*) FROM invoices; -> $REPLY"
expect 'group' "$REPLY" 1000
printf '\\q\n' >&"${A[1]}"
wait "$a_process" 2>/dev/null || true

step '6. Why is Eve denied?'
show 'SELECT topic, finding FROM tenancy.diagnose();'
request "$(claims $EVE)" "SELECT topic || ': ' || finding FROM tenancy.diagnose() WHERE topic IN ('active tenant', 'membership', 'role', 'permissions', 'permissions lacking');" >"$RUN/eve"
sed 's/^/    /' "$RUN/eve"
grep -q 'permissions lacking:.*invoices.read' "$RUN/eve" || { echo 'FAILED: diagnose() does not name what is lacking'; exit 1; }

step '7. A plain SET on a pooled connection is nothing to the next client'
next=$(psql -At <<SQL
SET request.jwt.claims = '$(claims $ANN)';
SELECT coalesce(tenancy.current_user_id()::text, 'nobody');
SQL
)
show "SET request.jwt.claims = '{\"sub\": …}';   SELECT tenancy.current_user_id(); -> $next"
expect 'plain SET' "$next" nobody

step '8. The plan: the tenant key is an index condition'
show 'EXPLAIN (COSTS OFF) SELECT * FROM invoices WHERE amount > 0;'
psql -q -c "INSERT INTO tenancy.tenants (slug, name) SELECT 't' || n, 'T' FROM generate_series(1, 50) n;
    INSERT INTO invoices (tenant_id, amount) SELECT id, 1 FROM tenancy.tenants, generate_series(1, 400); ANALYZE invoices" >/dev/null
request "$(claims $ANN)" 'EXPLAIN (COSTS OFF) SELECT * FROM invoices WHERE amount > 0;' >"$RUN/plan"
sed 's/^/    /' "$RUN/plan"
grep -q 'Index Cond: (tenant_id = tenancy.current_tenant_id())' "$RUN/plan" || { echo 'FAILED: no index condition'; exit 1; }

step '9. A quota of ten more invoices; 8 sessions at once try 20 times each'
had=$(sql "SELECT count(*) FROM invoices WHERE tenant_id = '$ACME'")
meter="SELECT tenancy.create_meter('invoices.rows', 'rows', 'gauge'), tenancy.set_quota('$ACME', 'invoices.rows', soft => $((had + 5)), hard => $((had + 10)));"
show "$meter"
sql "$meter" >/dev/null
protect="SELECT tenancy.protect_table('invoices', quota => 'invoices.rows');"
show "$protect"
sql "$protect" >/dev/null 2>&1
sql "SELECT tenancy.grant_role('$ACME', '$ANN', 'bookkeeper')" >/dev/null
for ((writer = 0; writer < 8; writer++)); do
    (
        # What is refused while others are open may pass later: so everybody tries again.
        for ((turn = 0; turn < 20; turn++)); do request "$(claims $ANN)" 'INSERT INTO invoices (amount) VALUES (7);'; done >"$RUN/writer.$writer"
    ) &
done
wait
refused=$(cat "$RUN"/writer.* | grep -c 'ERROR:  23514' || true)
held=$(sql "SELECT count(*) FROM invoices WHERE tenant_id = '$ACME'")
show "invoices of Acme: $held; refused with 23514: $refused of 160; soft quota told: $(sql 'SELECT count(*) FROM tenancy.quota_events') time"
show "$(sql "SELECT meter || ': ' || used || ' of ' || hard || ' (' || percent || ' %)' FROM tenancy.quota_status")"
expect 'rows, events' "$held $(sql 'SELECT count(*) FROM tenancy.quota_events')" "$((had + 10)) 1"
expect 'refused' "$refused" 150

step '10. A schema nobody designed for tenancy: pgbench -i -s 10, 1,000,000 accounts, 100 tenants, 1,000 users'
"$BINDIR/pgbench" -i -q -s 10 >/dev/null 2>&1
# Tenants 100 to 199 and users 1000 to 1999: their numbers end their ids, so that pgbench can write literals.
psql <<'SQL' >/dev/null 2>&1
INSERT INTO tenancy.tenants (id, slug, name)
SELECT ('00000000-0000-4000-9000-000000000' || n)::uuid, 'bench-' || n, 'Bench' FROM generate_series(100, 199) n;
SELECT tenancy.create_role('teller', '{pgbench_accounts.*}');
SELECT tenancy.add_member(('00000000-0000-4000-9000-000000000' || 100 + n % 100)::uuid,
                          ('00000000-0000-4000-8000-00000000' || n)::uuid, '{teller}') FROM generate_series(1000, 1999) n;
ALTER TABLE pgbench_accounts ADD tenant_id uuid;
UPDATE pgbench_accounts SET tenant_id = ('00000000-0000-4000-9000-000000000' || 100 + (aid - 1) / 10000)::uuid;
GRANT SELECT, UPDATE, INSERT, DELETE ON pgbench_accounts TO authenticated;
CREATE INDEX ON pgbench_accounts (tenant_id);
VACUUM ANALYZE pgbench_accounts;
SQL
for kind in unprotected literal; do
    literal=
    [[ $kind == unprotected ]] || literal="AND tenant_id = '00000000-0000-4000-9000-000000000:tenant'"
    cat >"$RUN/$kind.pgbench" <<SQL
\set user random(1000, 1999)
\set tenant 100 + :user % 100
\set account 1 + :user % 100 * 10000 + random(0, 9980)
BEGIN;
SELECT set_config('role', 'authenticated', true),
    set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-00000000:user", "role": "authenticated"}', true);
SELECT aid, abalance FROM pgbench_accounts WHERE aid BETWEEN :account AND :account + 19 $literal;
COMMIT;
SQL
done
chmod 644 "$RUN"/*.pgbench
tps() {
    "$BINDIR/pgbench" -n -c 2 -j 2 -T "${2:-10}" -f "$RUN/$1.pgbench" 2>&1 | awk '/^tps/ { printf "%.0f", $3 }'
}
tps unprotected 2 >/dev/null # warm
unprotected=$(tps unprotected)
literal=$(tps literal)
protect="SELECT tenancy.protect_table('pgbench_accounts');"
show "$protect"
sql "$protect" >/dev/null 2>&1
ours=$(tps unprotected)
show "tps, 2 clients, 10 s each, 20 rows a transaction: unprotected $unprotected, literal predicate $literal, protected $ours"
show "protected / literal = $(awk -v a="$ours" -v b="$literal" 'BEGIN { printf "%.2f", a / b }')   protected / unprotected = $(awk -v a="$ours" -v b="$unprotected" 'BEGIN { printf "%.2f", a / b }')"

psql -At <<'SQL' >"$RUN/checks"
DO $$
DECLARE
    passed int := 0;
    leaked int := 0;
    n bigint;
    user_no int;
    own uuid;
    foreign_id uuid;
BEGIN
    FOR user_no IN SELECT generate_series(1000, 1990, 45) LOOP
        own := ('00000000-0000-4000-9000-000000000' || 100 + user_no % 100)::uuid;
        foreign_id := ('00000000-0000-4000-9000-000000000' || 100 + (user_no + 1) % 100)::uuid;
        PERFORM tenancy.act_as(('00000000-0000-4000-8000-00000000' || user_no)::uuid);
        SELECT count(*) INTO n FROM public.pgbench_accounts WHERE tenant_id <> own;
        IF n = 0 THEN passed := passed + 1; ELSE leaked := leaked + 1; END IF;
        SELECT count(*) INTO n FROM public.pgbench_accounts;
        IF n = 10000 THEN passed := passed + 1; ELSE leaked := leaked + 1; END IF;
        UPDATE public.pgbench_accounts SET abalance = 1 WHERE tenant_id = foreign_id;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n = 0 THEN passed := passed + 1; ELSE leaked := leaked + 1; END IF;
        DELETE FROM public.pgbench_accounts WHERE tenant_id = foreign_id;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n = 0 THEN passed := passed + 1; ELSE leaked := leaked + 1; END IF;
        BEGIN
            INSERT INTO public.pgbench_accounts (aid, bid, tenant_id) VALUES (2000000 + user_no, 1, foreign_id);
            leaked := leaked + 1;
        EXCEPTION WHEN insufficient_privilege THEN
            passed := passed + 1;
        END;
        BEGIN
            UPDATE public.pgbench_accounts SET tenant_id = foreign_id WHERE aid = 1 + user_no % 100 * 10000;
            leaked := leaked + 1;
        EXCEPTION WHEN check_violation OR insufficient_privilege THEN
            passed := passed + 1;
        END;
        RESET ROLE;
    END LOOP;
    PERFORM set_config('demo.checks', format('isolation checks: %s passed, %s leaked', passed, leaked), false);
END
$$;
SELECT current_setting('demo.checks');
SQL
echo
cat "$RUN/checks"
grep -q ' 0 leaked$' "$RUN/checks" || exit 1
