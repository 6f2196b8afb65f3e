-- Threats 1 and 2: claims that cannot be used make nobody of their bearer, quietly. Every function that
-- policies call is asked under each of them: none may raise, and none may answer yes.
\set tenant '''1d000000-0000-0000-0000-00000000000a'''
\set user '''1d000000-0000-0000-0000-000000000001'''
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES (:tenant, 'identity-claims', 'Identity', 'i-1');
SELECT tenancy.create_permission('idclaims.read');
SELECT tenancy.create_role('idclaims_reader', '{idclaims.read}') IS NOT NULL AS created;
SELECT tenancy.create_role('idclaims_own', '{}', :tenant) IS NOT NULL AS created;
SELECT tenancy.add_member(:tenant, :user, '{idclaims_reader,idclaims_own}');

-- One letter for each answer: t yes or a value, f no, - NULL.
CREATE FUNCTION pg_temp.answers(claims text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    t uuid := '1d000000-0000-0000-0000-00000000000a';
    answer boolean;
    letters text := '';
BEGIN
    PERFORM set_config('request.jwt.claims', claims, true);
    FOREACH answer IN ARRAY ARRAY[
        tenancy.current_user_id() IS NOT NULL, tenancy.current_tenant_id() IS NOT NULL,
        tenancy.current_tenant_key() IS NOT NULL, tenancy.tenant_ids() <> '{}',
        tenancy.tenant_ids_with('idclaims.read') <> '{}', tenancy.is_member(t), tenancy.can_see_tenant(t),
        tenancy.has_role('idclaims_reader'), tenancy.has_role(t, 'idclaims_reader'),
        tenancy.has_tenant_role(t, 'idclaims_own'),
        tenancy.has_permission('idclaims.read'), tenancy.has_permission(t, 'idclaims.read'),
        tenancy.has_any_permission(ARRAY['idclaims.read']), tenancy.has_any_permission(t, ARRAY['idclaims.read']),
        tenancy.has_all_permissions(ARRAY['idclaims.read']), tenancy.has_all_permissions(t, ARRAY['idclaims.read']),
        tenancy.operator_access() IS NOT NULL, tenancy.aal() IS NOT NULL] LOOP
        letters := letters || coalesce(left(answer::text, 1), '-');
    END LOOP;
    RETURN letters || CASE WHEN tenancy.claims() IS NULL THEN '' ELSE ' with claims' END
                   || CASE WHEN tenancy.claim('sub') IS NULL THEN '' ELSE ' and sub' END;
END
$$;

CREATE TEMP TABLE tokens (n serial, about text, claims text);
INSERT INTO tokens (about, claims) VALUES
    ('good', '{"sub":"1d000000-0000-0000-0000-000000000001"}'),
    ('good, other members ignored', '{"sub":"1d000000-0000-0000-0000-000000000001","role":7,"app_metadata":[],"aal":null}'),
    ('unset', NULL),
    ('empty', ''),
    ('blank', '   '),
    ('not JSON', '{sub}'),
    ('cut short', '{"sub":"1d000000-0000-0000-0000-000000000001"'),
    ('something behind it', '{"sub":"1d000000-0000-0000-0000-000000000001"} {}'),
    ('a string', '"1d000000-0000-0000-0000-000000000001"'),
    ('a number', '1'), ('null', 'null'), ('true', 'true'),
    ('an array', '[{"sub":"1d000000-0000-0000-0000-000000000001"}]'),
    ('no sub', '{"role":"authenticated"}'),
    ('sub null', '{"sub":null}'), ('sub a number', '{"sub":1}'), ('sub true', '{"sub":true}'),
    ('sub an array', '{"sub":["1d000000-0000-0000-0000-000000000001"]}'),
    ('sub an object', '{"sub":{"id":"1d000000-0000-0000-0000-000000000001"}}'),
    ('sub empty', '{"sub":""}'), ('sub no uuid', '{"sub":"alice"}'),
    ('sub too long', '{"sub":"1d000000-0000-0000-0000-0000000000011"}'),
    ('sub with a space', '{"sub":" 1d000000-0000-0000-0000-000000000001"}'),
    ('sub with quotes', '{"sub":"1d000000-0000-0000-0000-000000000001''--"}'),
    ('sub the nil uuid', '{"sub":"00000000-0000-0000-0000-000000000000"}'),
    ('sub in other letters', '{"SUB":"1d000000-0000-0000-0000-000000000001"}'),
    ('sub twice, the last good', '{"sub":"alice","sub":"1d000000-0000-0000-0000-000000000001"}'),
    ('sub twice, the last bad', '{"sub":"1d000000-0000-0000-0000-000000000001","sub":"alice"}'),
    ('sub twice, the last null', '{"sub":"1d000000-0000-0000-0000-000000000001","sub":null}'),
    ('U+0000 in a value', '{"sub":"1d000000-0000-0000-0000-000000000001","name":"a\u0000b"}'),
    ('U+0000 in a key', '{"sub":"1d000000-0000-0000-0000-000000000001","a\u0000b":1}'),
    ('U+0000 deep down', '{"sub":"1d000000-0000-0000-0000-000000000001","a":[{"b":["\u0000"]}]}'),
    ('half a surrogate pair', '{"sub":"1d000000-0000-0000-0000-000000000001","a":"\ud800"}'),
    ('a number beyond all measure', '{"sub":"1d000000-0000-0000-0000-000000000001","a":1e999}'),
    ('nested 100,000 deep', '{"sub":"1d000000-0000-0000-0000-000000000001","a":' || repeat('[', 100000) || repeat(']', 100000) || '}'),
    ('just under 1 MiB', '{"sub":"1d000000-0000-0000-0000-000000000001","a":"' || repeat('x', 1048000) || '"}'),
    ('over 1 MiB', '{"sub":"1d000000-0000-0000-0000-000000000001","a":"' || repeat('x', 1048577) || '"}'),
    ('20 MiB', '{"sub":"1d000000-0000-0000-0000-000000000001","a":"' || repeat('x', 20 * 1048576) || '"}'),
    ('10,000 members', '{"sub":"1d000000-0000-0000-0000-000000000001",' || (SELECT string_agg(format('"k%s":%s', i, i), ',') FROM generate_series(1, 10000) i) || '}'),
    ('sub written in capitals', '{"sub":"1D000000-0000-0000-0000-000000000001"}'),
    ('an assurance level', '{"sub":"1d000000-0000-0000-0000-000000000001","aal":"aal2"}'),
    ('an assurance level of another type', '{"sub":"1d000000-0000-0000-0000-000000000001","aal":2}');
SELECT about, pg_temp.answers(claims) FROM tokens ORDER BY n;

-- The same after a token that was good: nothing of it stays.
SELECT about, pg_temp.answers(claims) AS after_good FROM
    (SELECT n, about, claims, pg_temp.answers('{"sub":"1d000000-0000-0000-0000-000000000001"}') FROM tokens OFFSET 0) t
 WHERE about IN ('unset', 'not JSON', 'over 1 MiB', 'sub no uuid', 'U+0000 in a key') ORDER BY n;

-- exp and nbf: finite JSON numbers, against the start of the statement, without leeway.
CREATE FUNCTION pg_temp.at(member text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims',
        format('{"sub":"1d000000-0000-0000-0000-000000000001"%s}', member), true);
    RETURN tenancy.has_permission('idclaims.read');
END
$$;
BEGIN;
SELECT member, pg_temp.at(',' || member) FROM unnest(ARRAY[
    '"exp":0', '"exp":-1', '"exp":-1e300', '"exp":99999999999', '"exp":99999999999.5', '"exp":1e300',
    '"exp":18446744073709551615', '"exp":9223372036854775807', '"exp":"99999999999"', '"exp":null',
    '"exp":true', '"exp":{}', '"exp":[99999999999]', '"exp":""', '"exp":1e999', '"exp":0,"exp":99999999999',
    '"exp":99999999999,"exp":0', '"EXP":0', '"nbf":0', '"nbf":99999999999', '"nbf":"0"', '"nbf":null', '"nbf":1e300',
    '"nbf":-1e300', '"nbf":0,"exp":99999999999', '"nbf":99999999999,"exp":999999999999', '"iat":99999999999']) member;
-- To the microsecond (the very moment is a unit test's: tests/unit/tests/validity.rs).
SELECT d AS microseconds_from_now,
       pg_temp.at(format(',"exp":%s', to_char(extract(epoch FROM statement_timestamp()) + d * 0.000001, 'FM99999999990.000000'))) AS exp,
       pg_temp.at(format(',"nbf":%s', to_char(extract(epoch FROM statement_timestamp()) + d * 0.000001, 'FM99999999990.000000'))) AS nbf
  FROM unnest(ARRAY[-1000, -2, 2, 1000]) d;
SET LOCAL tenancy.require_exp = on;
SELECT member, pg_temp.at(member) AS exp_required FROM unnest(ARRAY[
    '', ',"exp":99999999999', ',"exp":0', ',"exp":null', ',"nbf":0', ',"exp":"99999999999"']) member;
ROLLBACK;

-- A token that ends while the session goes on, in one transaction and one prepared statement.
BEGIN;
SELECT set_config('request.jwt.claims', format('{"sub":%s,"exp":%s}', to_json(:user::text),
                  extract(epoch FROM clock_timestamp()) + 1.5), true) IS NOT NULL AS set;
PREPARE ask AS SELECT tenancy.has_permission('idclaims.read') AS held, tenancy.current_user_id() IS NOT NULL AS known;
SET LOCAL plan_cache_mode = force_generic_plan;
EXECUTE ask;
SELECT pg_sleep(1.6);
EXECUTE ask;
COMMIT;

-- NULL in gives NULL out, which denies; whoever asks.
BEGIN;
SELECT tenancy.act_as(:user);
SELECT tenancy.has_permission(NULL) AS p, tenancy.has_permission(NULL, 'idclaims.read') AS tp, tenancy.has_permission(:tenant, NULL) AS pt,
       tenancy.is_member(NULL) AS m, tenancy.can_see_tenant(NULL) AS s, tenancy.has_role(NULL) AS r,
       tenancy.has_role(NULL, 'idclaims_reader') AS tr, tenancy.has_role(:tenant, NULL) AS rt,
       tenancy.has_tenant_role(NULL, 'idclaims_own') AS own, tenancy.has_tenant_role(:tenant, NULL) AS own_name,
       tenancy.tenant_ids_with(NULL) AS ids, tenancy.claim(NULL) AS claim;
SELECT tenancy.has_any_permission(NULL) AS any, tenancy.has_all_permissions(NULL) AS all,
       tenancy.has_any_permission(NULL, '{idclaims.read}') AS any_t, tenancy.has_all_permissions(:tenant, NULL) AS all_p;
-- All of nothing is nothing; a NULL among the names is a name that nobody holds.
SELECT tenancy.has_any_permission('{}') AS any, tenancy.has_all_permissions('{}') AS all,
       tenancy.has_any_permission('{NULL}') AS any_null, tenancy.has_any_permission('{NULL,idclaims.read}') AS any_one,
       tenancy.has_all_permissions('{NULL,idclaims.read}') AS all_one, tenancy.has_all_permissions('{{idclaims.read},{idclaims.read}}') AS nested,
       tenancy.has_all_permissions(:tenant, '{}') AS all_t, tenancy.has_any_permission(:tenant, '{NULL,idclaims.read}') AS any_t;
-- Names that are no permissions.
SELECT name, tenancy.has_permission(name), tenancy.has_permission(:tenant, name), tenancy.tenant_ids_with(name) FROM unnest(ARRAY[
    '', ' ', 'all', '*', 'idclaims.*', 'idclaims', 'idclaims.read ', 'IDCLAIMS.READ', 'idclaims.reading', E'idclaims.read\n', 'ïdclaims.read', 'idclaims.fly']) name;
SELECT tenancy.has_permission(repeat('x', 10000000)) AS huge_name;
COMMIT;

SELECT tenancy.drop_tenant(:tenant);
SELECT tenancy.drop_role('idclaims_reader', cascade => true), tenancy.drop_permission('idclaims.read', cascade => true);
