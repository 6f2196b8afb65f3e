-- Tenants named by the host's own keys: every form of every function, what is a number and what is a name, which keys
-- there may be, and who may change them. A key that is not exactly his tenant's denies, quietly.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA host_keys;
SET search_path = host_keys, public;
\set alice '''a5000000-0000-4000-8000-0000000000a1'''
\set bob '''a5000000-0000-4000-8000-0000000000b0'''
\set operator '''a5000000-0000-4000-8000-0000000000c0'''
\set reader '''a5000000-0000-4000-8000-0000000000d0'''
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('a5000000-0000-4000-8000-00000000' || lpad(n::text, 4, '0'))::uuid $$;
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES
    (t(1), 'host-keys-1', 'T', '42'), (t(2), 'host-keys-2', 'T', '43'), (t(3), 'host-keys-3', 'T', '44'), (t(4), 'host-keys-4', 'T', '45'),
    (t(5), 'host-keys-5', 'T', 'acme'), (t(6), 'host-keys-6', 'T', 'ACME'), (t(7), 'host-keys-7', 'T', NULL),
    (t(8), 'host-keys-8', 'T', '9223372036854775807'), (t(9), 'host-keys-9', 'T', '-1'), (t(10), 'host-keys-10', 'T', t(10)::text);
-- Of these she is no member, however alike they are.
INSERT INTO tenancy.tenants (slug, name, key) VALUES
    ('host-keys-20', 'T', '042'), ('host-keys-21', 'T', '+42'), ('host-keys-22', 'T', ' 42'), ('host-keys-23', 'T', '42 '), ('host-keys-24', 'T', '42.0'),
    ('host-keys-25', 'T', '-0'), ('host-keys-26', 'T', '9223372036854775808'), ('host-keys-27', 'T', '-9223372036854775809'),
    ('host-keys-28', 'T', '4294967338'), ('host-keys-29', 'T', E'42\n'), ('host-keys-30', 'T', '٤٢'), ('host-keys-31', 'T', 'caf' || chr(233)),
    ('host-keys-32', 'T', 'cafe' || chr(769)), ('host-keys-33', 'T', '99999999999999999999999'), ('host-keys-34', 'T', '-9223372036854775808'),
    ('host-keys-35', 'T', '2147483648'), ('host-keys-36', 'T', '0x2a'), ('host-keys-37', 'T', '4_2'), ('host-keys-38', 'T', '1e3'), ('host-keys-39', 'T', '0');
SELECT tenancy.create_permission('host.read'), tenancy.create_role('host_reader', '{host.read}') IS NOT NULL AS role;
SELECT tenancy.add_member(t(n), :alice, '{host_reader}') FROM generate_series(1, 4) n;
SELECT tenancy.add_member(t(n), :alice) FROM unnest('{5,7,8,9,10}'::int[]) n;
SELECT tenancy.add_member(t(6), :bob, '{host_reader}');
SELECT tenancy.set_member_status(t(2), :alice, 'suspended'), tenancy.set_tenant_status(t(3), 'suspended'), tenancy.set_tenant_status(t(4), 'read_only');
INSERT INTO tenancy.roles (tenant_id, name) VALUES (t(1), 'own');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT t(1), :alice, id FROM tenancy.roles WHERE name = 'own' AND tenant_id = t(1);
INSERT INTO tenancy.operators (user_id, access) VALUES (:operator, 'write'), (:reader, 'read');

-- Which keys are numbers: those written as a bigint is, and no two of them the same.
SELECT quote_literal(key) AS key, key_number FROM tenancy.tenants WHERE slug LIKE 'host-keys-%' ORDER BY length(slug), slug;

-- Every check in every type: member with all roles, suspended member, suspended tenant, read-only tenant, member without
-- role, stranger's, the greatest and a negative one, and one that nobody has; then NULL.
CREATE FUNCTION asked(who uuid, tenant uuid, expression text, names text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM tenancy.act_as(who, tenant);
    EXECUTE format('SELECT string_agg(coalesce(left((%s)::text, 1), ''-''), '''' ORDER BY o) FROM unnest($1) WITH ORDINALITY v (n, o)', expression) INTO answer USING names;
    PERFORM set_config('role', 'none', true), set_config('request.jwt.claims', '', true), set_config('tenancy.tenant_id', '', true);
    RETURN answer;
END $$;
CREATE VIEW functions AS SELECT * FROM (VALUES
    (1, 'is_member(%s)'), (2, 'has_permission(%s, ''host.read'')'), (3, 'has_permission(%s, NULL)'), (4, 'has_any_permission(%s, ''{host.read, x.y}'')'),
    (5, 'has_any_permission(%s, NULL)'), (6, 'has_all_permissions(%s, ''{host.read}'')'), (7, 'has_all_permissions(%s, ''{host.read, x.y}'')'), (8, 'has_role(%s, ''host_reader'')'),
    (9, 'has_tenant_role(%s, ''own'')'), (10, 'is_member_or_operator(%s, ''read'')'), (11, 'is_active_or_operator(%s, ''read'')'), (12, 'is_active_or_operator(%s, NULL)'),
    (13, 'has_permission(%s, ''host.read''::text || left(random()::text, 0))'), (14, 'has_tenant_role(%s, ''host_reader'')')) f (o, call);
SELECT f.call, asked(:alice, t(1), 'tenancy.' || format(f.call, 'n::uuid'), n.ids) AS uuid, asked(:alice, t(1), 'tenancy.' || format(f.call, 'n::text'), n.ids) AS id_as_text,
       asked(:alice, t(1), 'tenancy.' || format(f.call, 'n::text'), n.keys) AS text, asked(:alice, t(1), 'tenancy.' || format(f.call, 'n::varchar'), n.keys) AS varchar,
       asked(:alice, t(1), 'tenancy.' || format(f.call, 'n::bigint'), n.numbers) AS bigint, asked(:alice, t(1), 'tenancy.' || format(f.call, 'n::integer'), n.small) AS integer
  FROM functions f, (SELECT array_agg(t(i)::text ORDER BY o) || ARRAY['a5000000-0000-4000-8000-000000009999', NULL], array_agg(key ORDER BY o) || ARRAY['46', NULL],
                            array_agg(key ORDER BY o) FILTER (WHERE key_number IS NOT NULL) || ARRAY['46', NULL],
                            array_agg(key ORDER BY o) FILTER (WHERE key_number < 1000) || ARRAY['46', NULL]
                       FROM unnest('{1,2,3,4,5,6,8,9}'::int[]) WITH ORDINALITY u (i, o) JOIN tenancy.tenants ON id = t(i)) n (ids, keys, numbers, small)
 ORDER BY f.o;
-- For operators all of them, whatever they are called, and for nobody none.
SELECT who, f.call, asked(id, NULL, 'tenancy.' || format(f.call, 'n::text'), '{42,46,acme,NULL}') AS text,
       asked(id, NULL, 'tenancy.' || format(f.call, 'n::bigint'), '{42,46,NULL}') AS bigint, asked(id, NULL, 'tenancy.' || format(f.call, 'n::integer'), '{42,46,NULL}') AS integer
  FROM functions f, (VALUES ('operator', :operator::uuid), ('nobody', NULL)) w (who, id) WHERE f.o IN (1, 2, 10, 11) ORDER BY who DESC, f.o;
SELECT f.call, asked(:reader, NULL, 'tenancy.' || format(replace(f.call, 'read', 'write'), 'n::text'), '{42}') AS write_asked_of_a_reader FROM functions f WHERE f.o IN (10, 11);

-- A number or name that is nearly his names nothing of his. The tenants exist, and are strangers'.
SELECT array_agg(quote_literal(key)) FILTER (WHERE answer <> 'f') AS wrong, count(*) FROM (SELECT key, asked(:alice, NULL, 'tenancy.is_member(n::text)', ARRAY[key]) AS answer FROM
    (SELECT key FROM tenancy.tenants WHERE slug ~ 'host-keys-[23].' UNION ALL SELECT unnest(ARRAY['', '42' || chr(8203), 'Acme', 'aCME', 'acme ', ' acme', 'acmé', upper(t(1)::text), replace(t(1)::text, '-', ''),
        '{' || t(1) || '}', t(1) || ' ', '9223372036854775806', '1', '--1', '-01', '42' || repeat(' ', 5000), repeat('acme', 300), 'acme' || E'\n'])) k) a;
SELECT i, asked(:alice, NULL, 'tenancy.is_member(n::integer)', ARRAY[i]) AS integer, asked(:alice, NULL, 'tenancy.is_member(n::bigint)', ARRAY[i]) AS bigint
  FROM unnest('{42,-42,0,-1,2147483647,-2147483648,046}'::text[]) i;
SELECT i, asked(:alice, NULL, 'tenancy.is_member(n::bigint)', ARRAY[i]) AS bigint FROM unnest('{4294967338,-4294967254,9223372036854775807,-9223372036854775808,9223372036854775806}'::text[]) i;
-- Nor is a number the same as another with the same lower half.
SELECT tenancy.add_member(id, :bob) FROM tenancy.tenants WHERE key = '4294967338';
SELECT asked(:bob, NULL, 'tenancy.is_member(n::integer)', '{42}') AS integer, asked(:bob, NULL, 'tenancy.is_member(n::bigint)', '{42,4294967338}') AS bigint,
       test.try(:bob, 'SELECT tenancy.tenant_ids(NULL::integer)') AS integers, test.try(:bob, 'SELECT tenancy.tenant_ids(NULL::bigint)') AS bigints;
-- Nor is a name that only looks like a number one, for those whose it is.
SELECT count(tenancy.add_member(id, :reader)) FROM tenancy.tenants WHERE key_number IS NULL AND slug ~ 'host-keys-[23].' OR key = '0';
SELECT asked(:reader, NULL, 'tenancy.is_member(n::bigint)', '{42,0,1000}') AS bigint, asked(:reader, NULL, 'tenancy.is_member(n)', '{042,+42,-0,0,42}') AS text, test.try(:reader, 'SELECT tenancy.tenant_ids(NULL::bigint)') AS bigints,
       asked(:reader, (SELECT id FROM tenancy.tenants WHERE key = '042'), 'tenancy.current_tenant_key(NULL::bigint)', '{""}') AS number_of_042;
-- Of the keys that differ by case or normal form, each is its own tenant's.
SELECT tenancy.add_member(id, :bob) FROM tenancy.tenants WHERE key = 'caf' || chr(233);
SELECT asked(:bob, NULL, 'tenancy.is_member(n)', ARRAY['ACME', 'acme', 'caf' || chr(233), 'cafe' || chr(769), 'CAF' || chr(201)]);

-- Untyped literals and parameters count as text: id or key.
SELECT e, test.try(:alice, 'SELECT tenancy.' || e) FROM unnest(ARRAY[
    format('is_member(%L)', t(1)), 'is_member(''42'')', 'is_member(''43'')', 'is_member(''acme'')', 'is_member(''ACME'')', 'is_member(NULL)', 'is_member(42)', 'is_member(46)', 'is_member(42::smallint)', 'is_member((-1)::smallint)', 'is_member(46::smallint)', 'has_permission(42::smallint, ''host.read'')', 'is_active_or_operator(42::smallint, ''read'')', 'tenant_ids(NULL::smallint)', 'is_member()',
    'is_member(9223372036854775807)', 'is_member(9223372036854775808)', 'is_member(''9223372036854775808'')', 'is_member(42.0)', 'is_member(true)', 'is_member(''42''::name)',
    'is_member(''42''::varchar(2))', 'is_member(''42''::char(4))', 'has_permission(''42'', ''host.read'')', format('has_permission(%L, ''host.read'')', t(1)), format('has_permission(%L, ''host.read'')', upper(t(1)::text)),
    'has_permission(42, ''host.read'')', 'has_any_permission(''42'', ''{host.read}'')', 'has_role(''42'', ''host_reader'')', 'has_permission(NULL, NULL)', 'has_permission(NULL, ''host.read'')',
    'tenant_ids(NULL)', 'current_tenant_key()', 'current_tenant_key(NULL)', 'tenant_ids_with(''host.read'', NULL)']) e;
SELECT test.try(:operator, 'SELECT tenancy.is_member()') AS operator, test.try(NULL, 'SELECT tenancy.is_member()') AS nobody;
BEGIN;
PREPARE untyped AS SELECT tenancy.is_member($1), tenancy.has_permission($1, $2), tenancy.is_active_or_operator($1, 'read');
SELECT pg_get_function_identity_arguments('tenancy.is_member(text)'::regprocedure), parameter_types FROM pg_prepared_statements;
SELECT tenancy.act_as(:alice, t(1));
EXECUTE untyped('42', 'host.read');
EXECUTE untyped('a5000000-0000-4000-8000-000000000001', 'host.read');
EXECUTE untyped('A5000000-0000-4000-8000-000000000001', 'host.read');
EXECUTE untyped('43', 'host.read');
EXECUTE untyped('acme', 'host.read');
EXECUTE untyped(NULL, 'host.read');
-- One call site, asked in turn; nine times, so that a generic plan is among them.
PREPARE number(bigint) AS SELECT tenancy.is_member($1);
SELECT string_agg(left(tenancy.is_member(k)::text, 1), '' ORDER BY o) FROM unnest('{42,43,42,44,45,46,42,-1,9223372036854775807}'::bigint[]) WITH ORDINALITY u (k, o);
EXECUTE number(42); EXECUTE number(43); EXECUTE number(42); EXECUTE number(44); EXECUTE number(42); EXECUTE number(46); EXECUTE number(42); EXECUTE number(9223372036854775807);
ROLLBACK;
DEALLOCATE ALL;

-- The sets: in order, of what fits the type; a text is the id or the key.
SELECT e, test.try(:alice, 'SELECT tenancy.' || e) FROM unnest(ARRAY['tenant_ids(NULL::bigint)', 'tenant_ids(7::bigint)', 'tenant_ids(NULL::integer)', 'tenant_ids_with(''host.read'', NULL::bigint)',
    'tenant_ids_with(''host.read'', NULL::integer)', 'tenant_ids_with_any(''{host.read}'', NULL::integer)', 'tenant_ids_with_all(''{host.read}'', NULL::bigint)', 'tenant_ids_with_all(''{host.read,x.y}'', NULL::bigint)',
    'tenant_ids_with(NULL, NULL::bigint)', 'tenant_ids_with_any(NULL, NULL::text)', 'tenant_ids_or_all(''read'', NULL::bigint)', 'tenant_ids_or_all(''x'', NULL::bigint)', 'tenant_ids_or_all(NULL, NULL::bigint)',
    'active_tenant_or_all(''read'', NULL::bigint)', 'tenant_ids_with(''host.read'', NULL::text)', 'tenant_ids_with_any(''{}'', NULL::text)']) e;
BEGIN;
SELECT tenancy.act_as(:alice, t(1));
SELECT tenancy.active_tenant_or_all('read', NULL::bigint), tenancy.active_tenant_or_all('read', NULL::integer), tenancy.active_tenant_or_all('read', NULL::text);
-- A check says yes of exactly what the set holds.
SELECT bool_and(tenancy.is_member(k)) AS members, bool_and(tenancy.is_member(k) = (k = ANY (tenancy.tenant_ids(NULL::text)))) AS same FROM unnest(tenancy.tenant_ids(NULL::text)) k;
SELECT count(*) FILTER (WHERE tenancy.is_member(key) IS DISTINCT FROM key = ANY (tenancy.tenant_ids(NULL::text)) OR tenancy.is_member(key_number) IS DISTINCT FROM key_number = ANY (tenancy.tenant_ids(NULL::bigint))) AS different
  FROM (SELECT key, key_number FROM tenancy.tenants) x;
ROLLBACK;
SELECT asked(:operator, NULL, e, ARRAY['x']) AS operator_reaches_all FROM unnest(ARRAY['(SELECT bool_and(key_number = ANY (tenancy.tenant_ids_or_all(''read'', NULL::bigint))) FROM tenancy.tenants WHERE key_number IS NOT NULL)',
    '(SELECT bool_and(key = ANY (tenancy.tenant_ids_or_all(''read'', NULL::text)) AND id::text = ANY (tenancy.active_tenant_or_all(''read'', NULL::text))) FROM tenancy.tenants WHERE key IS NOT NULL)',
    '(SELECT bool_and((key_number = ANY (tenancy.tenant_ids_or_all(''read'', NULL::integer))) = (key_number BETWEEN -2147483648 AND 2147483647)) FROM tenancy.tenants WHERE key_number IS NOT NULL)']) e;

-- The active tenant by its key: setting, header and claim, and the key of the active tenant in each type.
CREATE FUNCTION chosen(who uuid, setting text, header jsonb, claims jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('role', 'authenticated', true), set_config('request.jwt.claims', (jsonb_build_object('sub', who) || coalesce(claims, '{}'))::text, true),
            set_config('request.headers', CASE WHEN header IS NULL THEN '' ELSE jsonb_build_object('x-tenant', header)::text END, true), set_config('tenancy.tenant_id', coalesce(setting, ''), true);
    answer := concat_ws(' ', coalesce('t' || right(tenancy.current_tenant_id()::text, 2)::int, '-'), tenancy.current_tenant_key(), tenancy.current_tenant_key(NULL::bigint), tenancy.current_tenant_key(NULL::integer),
                        '| ' || (SELECT string_agg(finding, '; ') FROM tenancy.diagnose() WHERE topic = 'active tenant'));
    PERFORM set_config('role', 'none', true), set_config('request.jwt.claims', '', true), set_config('tenancy.tenant_id', '', true), set_config('request.headers', '', true);
    RETURN answer;
END $$;
SET tenancy.tenant_header = 'X-Tenant';
SELECT quote_literal(left(name, 50)) AS name, chosen(:alice, name, NULL, NULL) AS setting FROM unnest(ARRAY['42', t(1)::text, upper(t(1)::text), replace(t(1)::text, '-', ''), 'acme', t(10)::text, t(7)::text, '9223372036854775807', '-1', 'ACME', '43', '44', '45', '46',
    '042', '+42', ' 42', '42 ', '42.0', '4.2e1', 'true', 'null', '-', '{42}', repeat('4', 3000)]) WITH ORDINALITY n (name, o) ORDER BY o;
SELECT CASE WHEN length(name::text) > 50 THEN '(' || length(name::text) || ' long)' ELSE name::text END AS name, chosen(:alice, NULL, NULL, jsonb_build_object('tenant_id', name)) AS claim, chosen(:alice, NULL, name, NULL) AS header
  FROM unnest(ARRAY['42', '"42"', '42.0', '4.2e1', '"42 "', '"acme"', '"ACME"', 'true', 'null', '""', '[42]', '{"id": 42}', '-1', '-0', '9223372036854775807', '9223372036854775808', '1e400', '43', '44', '46', to_jsonb(repeat('4', 3000))::text, to_jsonb(t(1))::text]::jsonb[]) WITH ORDINALITY n (name, o) ORDER BY o;
-- As a token writes the number, before jsonb has made it canonical.
SELECT raw, concat_ws(' ', set_config('request.jwt.claims', format('{"sub":"%s","tenant_id":%s}', 'a5000000-0000-4000-8000-0000000000a1', raw), false) IS NULL, coalesce(tenancy.current_tenant_key(), '-'))
  FROM unnest(ARRAY['42', '42.0', '4.2e1', '420e-1', '0042', '-0', '+42', '18446744073709551658', '42,"tenant_id":46']) WITH ORDINALITY n (raw, o) ORDER BY o;
RESET request.jwt.claims;
-- The order of the sources is as for ids, and the first present decides, good or bad.
SELECT setting, header, claim, regexp_replace(chosen(:alice, setting, to_jsonb(header), CASE WHEN claim IS NULL THEN '{}' ELSE jsonb_build_object('tenant_id', claim) END), ' \|.* from ', ' from ')
  FROM unnest(ARRAY['42', '46', NULL]) setting, unnest(ARRAY['acme', 'ACME', NULL]) header, unnest(ARRAY['45', NULL]) claim;
RESET tenancy.tenant_header;
-- Tokens know no keys: where they decide, a key names nothing and a column of keys shows nothing.
SET tenancy.authority = claims;
CREATE VIEW token AS SELECT jsonb_build_object('tenant_id', t(1), 'tenants', jsonb_build_array(t(1)), 'app_metadata', jsonb_build_object('perms', jsonb_build_array('host.read'))) AS claims;
GRANT SELECT ON token TO authenticated;
BEGIN;
SELECT tenancy.act_as(:alice, claims => (SELECT claims FROM token));
SELECT tenancy.is_member(t), tenancy.is_member(t::text), tenancy.is_member('42'), tenancy.is_member(42), tenancy.is_member(42::bigint), tenancy.has_permission('42', 'host.read'), tenancy.has_permission(t::text, 'host.read') AS by_id,
       tenancy.is_active_or_operator(42, 'read'), tenancy.is_active_or_operator(t::text, 'read') AS active_by_id, tenancy.current_tenant_key(), tenancy.tenant_ids(NULL::bigint), tenancy.tenant_ids(NULL::text), tenancy.is_member()
  FROM (VALUES ('a5000000-0000-4000-8000-000000000001'::uuid)) v (t);
ROLLBACK;
SELECT chosen(:alice, '42', NULL, claims) AS setting, chosen(:alice, NULL, NULL, claims || '{"tenant_id": 42}') AS claim FROM token;
RESET tenancy.authority;

-- Which keys there may be.
CREATE FUNCTION refused(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    what text;
BEGIN
    EXECUTE command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS what = CONSTRAINT_NAME;
    RETURN concat_ws(' ', SQLSTATE, nullif(what, ''), SQLERRM);
END $$;
SELECT left(quote_nullable(key), 50) AS key, left(refused(format('UPDATE tenancy.tenants SET key = %L WHERE id = %L', key, t(7))), 110) AS change
  FROM unnest(ARRAY['', repeat('x', 201), repeat('é', 200), repeat('x', 200), t(1)::text, t(7)::text, upper(t(1)::text), replace(t(1)::text, '-', ''), '{' || t(1) || '}', '{' || upper(replace(t(1)::text, '-', '')) || '}',
    regexp_replace(t(1)::text, '-', ''), upper(t(7)::text), replace(t(7)::text, '-', ''), t(1) || '0', 'acme', '42', '0042', '00000000-0000-0000-0000-000000000000', md5('x'), md5('x') || 'a', NULL]) WITH ORDINALITY k (key, o) ORDER BY o;
SELECT refused('UPDATE tenancy.tenants SET key_number = 7 WHERE slug = ''host-keys-7'''), refused('INSERT INTO tenancy.tenants (slug, name, key_number) VALUES (''host-keys-x'', ''T'', 7)');
-- create_tenant: administrators may name the key; write operators and whoever may create his own tenant may not.
SELECT left(quote_nullable(key), 50) AS key, test.attempt(NULL, format('SELECT tenancy.create_tenant(slug => ''host-keys-40'', key => %L) IS NULL', key)) AS created, test.attempt(NULL, 'DELETE FROM tenancy.tenants WHERE slug = ''host-keys-40''')
  FROM unnest(ARRAY['', '42', '4711', repeat('x', 201), t(1)::text, t(41)::text, upper(t(1)::text), upper(t(41)::text), '00000000-0000-0000-0000-000000000000', NULL]) WITH ORDINALITY k (key, o) ORDER BY o;
SELECT tenancy.create_tenant('host-keys-41', owner => :bob, key => t(41)::text) = t(41) AS id_is_the_key;
SELECT test.try(:operator, 'SELECT tenancy.create_tenant(''host-keys-42'', key => ''47'')') AS operator,
       test.try(:operator, 'SELECT tenancy.create_tenant(''host-keys-42'') IS NOT NULL') AS without_key, test.try(:bob, 'SELECT tenancy.create_tenant(''host-keys-42'', key => ''47'')') AS nobody_special;
SET tenancy.self_service = on;
SELECT test.try(:bob, 'SELECT tenancy.create_tenant(''host-keys-42'', key => ''47'')') AS self_service, test.try(:bob, 'SELECT tenancy.create_tenant(''host-keys-42'') IS NOT NULL') AS without_key,
       test.try(:bob, 'SELECT tenancy.create_tenant(''host-keys-42'', key => ''42'')') AS says_nothing_of_others;
RESET tenancy.self_service;
-- Changing it is the administrators'. Not the owner's, nor an operator's, by whatever statement.
SELECT tenancy.add_member(t(1), :bob, '{owner}');
SELECT who, command, test.try(id, command) FROM (VALUES (1, 'operator', :operator::uuid), (2, 'owner', :bob), (3, 'member', :alice), (4, 'administrator', NULL)) w (o, who, id), (VALUES
    ('UPDATE tenancy.tenants SET key = ''48'' WHERE slug = ''host-keys-1'''), ('UPDATE tenancy.tenants SET key = NULL WHERE slug = ''host-keys-1'''), ('UPDATE tenancy.tenants SET key = key, name = ''U'' WHERE slug = ''host-keys-1'''),
    ('INSERT INTO tenancy.tenants (slug, name, key) VALUES (''host-keys-x'', ''T'', ''48'')')) c (command) WHERE id IS NOT NULL ORDER BY o, command;
SELECT refused('UPDATE tenancy.tenants SET key = ''acme'' WHERE slug = ''host-keys-1''') AS taken, refused('UPDATE tenancy.tenants SET key = ''48'' WHERE slug = ''host-keys-1''') AS free, refused('UPDATE tenancy.tenants SET key = ''42'' WHERE slug = ''host-keys-1''') AS back;

-- A change of key counts at once for oneself, and is gone after a rollback.
BEGIN;
SELECT tenancy.act_as(:alice, t(1), db_role => current_user::text);
SELECT tenancy.is_member(42), tenancy.is_member('48'), tenancy.current_tenant_key(NULL::integer);
SAVEPOINT s;
UPDATE tenancy.tenants SET key = '48' WHERE id = t(1);
SELECT tenancy.is_member(42), tenancy.is_member('48'), tenancy.current_tenant_key(NULL::integer), 42 = ANY (tenancy.tenant_ids(NULL::integer)) AS old, 48 = ANY (tenancy.tenant_ids(NULL::integer)) AS new;
-- The key that was his is another's now, and so are its rows.
UPDATE tenancy.tenants SET key = '42' WHERE slug = 'host-keys-6';
SELECT tenancy.is_member(42), tenancy.is_member('42');
ROLLBACK TO s;
SELECT tenancy.is_member(42), tenancy.is_member('48'), tenancy.current_tenant_key(NULL::integer), 42 = ANY (tenancy.tenant_ids(NULL::integer)) AS old, 48 = ANY (tenancy.tenant_ids(NULL::integer)) AS new;
ROLLBACK;

-- While rows use it, no change: by the guard with its reason where the table is protected, by the foreign key anyway.
CREATE TABLE numbered (id int, tenant bigint REFERENCES tenancy.tenants (key_number));
CREATE TABLE named (id int, tenant text REFERENCES tenancy.tenants (key));
CREATE TABLE small (id int, tenant integer REFERENCES tenancy.tenants (key_number));
INSERT INTO numbered VALUES (1, 42); INSERT INTO named VALUES (1, 'acme'); INSERT INTO small VALUES (1, -1);
SELECT refused(format('UPDATE tenancy.tenants SET key = %L WHERE key = %L', new, old)), refused(format('DELETE FROM tenancy.tenants WHERE key = %L', old))
  FROM (VALUES ('42', '48'), ('42', NULL), ('42', '042'), ('acme', 'Acme'), ('-1', '-2')) v (old, new);
SELECT refused('INSERT INTO numbered VALUES (2, 47)'), refused('INSERT INTO named VALUES (2, ''47'')'), refused('INSERT INTO named VALUES (2, ''a5000000-0000-4000-8000-000000000001'')') AS named_by_id;
SELECT tenancy.protect_table(t::regclass, 'tenant', resource => 'host', mode => 'membership') FROM unnest('{numbered, named, small}'::text[]) t;
-- Ours stands beside theirs, which would let a key go that another tenant takes in the same statement.
SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid IN ('numbered'::regclass, 'named'::regclass) ORDER BY 1, 2;
SELECT bool_or(tenancy.protect_table(t::regclass, 'tenant', resource => 'host', mode => 'membership')) AS again FROM unnest('{numbered, named, small}'::text[]) t;
SELECT refused($$WITH gone AS (DELETE FROM tenancy.tenants WHERE key = '42' RETURNING key) UPDATE tenancy.tenants t SET key = gone.key FROM gone WHERE t.slug = 'host-keys-7'$$) AS taken_over,
       refused($$WITH gone AS (DELETE FROM tenancy.tenants WHERE key = 'acme' RETURNING key) INSERT INTO tenancy.tenants (slug, name, key) SELECT 'host-keys-y', 'T', key FROM gone$$) AS inherited;
SELECT tenant, (SELECT slug FROM tenancy.tenants WHERE key_number = tenant) FROM numbered;
UPDATE tenancy.tenants SET key = '48' WHERE key = '42';
SELECT refused(format('UPDATE tenancy.tenants SET key = %L WHERE key = %L', new, old)), test.try(:operator, format('SELECT tenancy.drop_tenant(id) FROM tenancy.tenants WHERE key = %L', old)), refused(format('SELECT tenancy.drop_tenant(id) FROM tenancy.tenants WHERE key = %L', old)) AS dropped
  FROM (VALUES ('42', NULL), ('acme', 'Acme'), ('-1', '-2')) v (old, new);
-- Without rows it may: of no table of the type, or in no row.
SELECT refused('UPDATE tenancy.tenants SET key = ''451'' WHERE key = ''45''') AS unused, refused('UPDATE tenancy.tenants SET key = ''45'' WHERE key = ''451''') AS back, refused('UPDATE tenancy.tenants SET key = ''42'' WHERE key = ''42''') AS same;
DELETE FROM numbered;
SELECT refused('UPDATE tenancy.tenants SET key = ''48'' WHERE key = ''42''') AS empty;
SELECT refused('UPDATE tenancy.tenants SET key = ''acme'' WHERE key = ''48''') AS still_taken, test.try(:alice, 'SELECT count(*) FROM tenancy.protected_tables') AS seen_by_alice;
SELECT tenancy.unprotect_table(t::regclass) FROM unnest('{numbered, named, small}'::text[]) t;
-- A foreign key that cascades does for both.
SELECT tenancy.create_tenant('host-keys-43', owner => NULL, key => '4300') IS NOT NULL AS made;
CREATE TABLE going (tenant bigint REFERENCES tenancy.tenants (key_number) ON DELETE CASCADE);
CREATE TABLE followed (tenant bigint REFERENCES tenancy.tenants (key_number) ON UPDATE CASCADE);
CREATE TABLE enough (tenant bigint REFERENCES tenancy.tenants (key_number) ON UPDATE RESTRICT ON DELETE CASCADE);
INSERT INTO going VALUES (4300); INSERT INTO enough VALUES (4300);
SELECT tenancy.protect_table(t::regclass, 'tenant', resource => 'host') FROM unnest('{going, followed, enough}'::text[]) t;
SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid IN ('going'::regclass, 'followed'::regclass, 'enough'::regclass) ORDER BY 1, 2;
DELETE FROM tenancy.tenants WHERE key = '4300';
SELECT (SELECT count(*) FROM going) AS going, (SELECT count(*) FROM enough) AS enough;
-- Administrators by BYPASSRLS, who may read neither the tables nor their schema.
CREATE ROLE host_keys_admin BYPASSRLS;
SELECT tenancy.enable_role('host_keys_admin');
INSERT INTO followed VALUES (45);
SET ROLE host_keys_admin;
UPDATE tenancy.tenants SET key = '451' WHERE key = '45';
UPDATE tenancy.tenants SET key = NULL WHERE key = '45';
UPDATE tenancy.tenants SET key = '48' WHERE key = '42';
UPDATE tenancy.tenants SET key = '42' WHERE key = '48';
SELECT tenancy.tenant_value(gen_random_uuid(), 'bigint');
RESET ROLE;
-- Observed, and so without a foreign key.
SELECT tenancy.protect_table('followed', 'tenant', resource => 'host', mode => 'observe');
ALTER TABLE followed DROP CONSTRAINT followed_tenant_fkey, DROP CONSTRAINT followed_tenant_fkey1;
SET ROLE host_keys_admin;
UPDATE tenancy.tenants SET key = '451' WHERE key = '45';
RESET ROLE;
SELECT tenancy.unprotect_table(t::regclass) FROM unnest('{going, followed, enough}'::text[]) t;
SELECT tenancy.disable_role('host_keys_admin');
DROP ROLE host_keys_admin;

DROP SCHEMA host_keys CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'host-keys-%';
DELETE FROM tenancy.operators WHERE user_id IN (:operator, :reader);
SELECT tenancy.drop_role('host_reader');
DELETE FROM tenancy.permissions WHERE name LIKE 'host.%';
