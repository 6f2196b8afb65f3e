-- Whom a tenant takes in by e-mail address: what the columns may hold, and who may set them.
\set a '''a5500000-0000-0000-0000-00000000000a'''
\set b '''a5500000-0000-0000-0000-00000000000b'''
\set SHOW_CONTEXT never
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'as-a', 'A'), (:b, 'as-b', 'B');
SELECT tenancy.create_permission('as.read') IS NOT NULL, tenancy.create_role('as_reader', '{as.read}') IS NOT NULL, tenancy.create_role('as own', '{as.read}', :a) IS NOT NULL,
       tenancy.create_role('as_admin', '{all}') IS NOT NULL, tenancy.add_member(:a, 'a5500000-0000-0000-0000-000000000001', '{as_admin}');
INSERT INTO tenancy.operators (user_id, access) VALUES ('a5500000-0000-0000-0000-000000000002', 'write'), ('a5500000-0000-0000-0000-000000000003', 'read');
CREATE FUNCTION pg_temp.attempt(who int, command text) RETURNS text LANGUAGE sql
    AS $$ SELECT test.attempt(('a5500000-0000-0000-0000-00000000000' || who)::uuid, command) $$;

-- Addresses as a whole: exact domains without case, patterns anchored; what is no address is false and no error.
SELECT email, domains, pattern, tenancy.email_matches(email, domains, pattern) FROM (VALUES
    ('ann@example.com', '{example.com}'::text[], NULL), ('ANN@Example.COM', '{other.org,example.com}', NULL), ('ann@sub.example.com', '{example.com}', NULL), ('ann@example.com', '{}', NULL), ('ann@example.com', NULL, NULL),
    ('ann@badexample.com', '{example.com}', NULL), ('ann@example.com.evil.org', '{example.com}', NULL), ('a@evil.org@example.com', '{example.com}', '.*'), ('ann@example.com', '{NULL}', NULL), (NULL, '{example.com}', '.*'),
    ('ann@sub.example.com', '{}', '[^@]+@(.+\.)?example\.com'), ('ann@example.com.evil.org', '{}', '[^@]+@(.+\.)?example\.com'), ('Ann@Example.com', '{}', 'ann@example\.com'), ('joann@example.com', '{}', 'ann@example\.com'),
    ('ann@evil.org', '{}', 'x)|(.*'), ('ann@evil.org', '{}', '(a'), ('', '{}', '.*'), ('@', '{}', '.*'), ('no address', '{}', '.*'), (E'ann\n@example.com', '{example.com}', '(?s).*'), (E'ann@example.com\n', '{example.com}', '(?s).*')
  ) v (email, domains, pattern);
SELECT tenancy.email_matches(repeat('a', 10000000) || '@example.com', '{example.com}', '.*') AS huge, tenancy.email_matches('a@example.com', '{}', repeat('a', 10000000)) AS huge_pattern;
-- Linear: these take a backtracking engine longer than anybody waits.
SET statement_timeout = '20s';
SELECT p, count(*) FILTER (WHERE tenancy.email_matches(repeat('a', 60) || '!@' || repeat('a.', 120) || 'bc', '{}', p)) AS matches, count(*) AS tried
  FROM unnest(ARRAY['(a+)+$', '(a|a)*b', '(.*)*@(.*)*x', '((a?){30}){3}a{60}']) p, generate_series(1, 100) GROUP BY p ORDER BY p COLLATE "C";
RESET statement_timeout;
SELECT p AS pattern, tenancy.is_email_pattern(p), tenancy.email_pattern_problem(p) FROM unnest(ARRAY['.*@example\.com', '', '(a', 'x)|(.*', '(?=a)b', '(a)\1', '(a{1000}){1000}', '\p{Greek}', '(?x)a # )|.*', NULL]) p;
SELECT tenancy.is_email_pattern(repeat('a', 1001)), tenancy.is_email_domain('example.com'), tenancy.is_email_domain('@example.com'), tenancy.is_email_domain('com'), tenancy.is_email_domain(NULL);
SELECT p.proname, provolatile, proisstrict, proparallel FROM pg_proc p WHERE pronamespace = 'tenancy'::regnamespace AND proname ~ 'email' ORDER BY 1;

-- The function. Setting the same again changes nothing; what is not named is emptied.
\pset format unaligned
\pset tuples_only on
SELECT command, test.attempt(NULL, replace(replace(command, '$A', quote_literal(:a)), '$B', quote_literal(:b))) FROM unnest(ARRAY[
    $$SELECT tenancy.set_auto_assignment($A, '{Example.com,b.example,EXAMPLE.com}', '.*@sub\.example\.com', '{as_reader,as own}')$$,
    $$SELECT tenancy.set_auto_assignment($A, '{b.example,example.com}', '.*@sub\.example\.com', '{as_reader,as own}')$$,
    $$SELECT format('%s %s %s', email_domains, email_pattern, default_roles) FROM tenancy.tenants WHERE id = $A$$,
    $$SELECT tenancy.set_auto_assignment($A, '{example.com}')$$,
    $$SELECT format('%s %s %s', email_domains, email_pattern, default_roles) FROM tenancy.tenants WHERE id = $A$$,
    $$SELECT tenancy.set_auto_assignment($A, '{@example.com}')$$, $$SELECT tenancy.set_auto_assignment($A, '{com}')$$, $$SELECT tenancy.set_auto_assignment($A, '{example.com,NULL}')$$, $$SELECT tenancy.set_auto_assignment($A, NULL)$$,
    $$SELECT tenancy.set_auto_assignment($A, default_roles => '{NULL}')$$, $$SELECT tenancy.set_auto_assignment($A, email_pattern => '(a')$$, $$SELECT tenancy.set_auto_assignment($A, email_pattern => '')$$,
    $$SELECT tenancy.set_auto_assignment($A, email_pattern => '(a{1000}){1000}')$$, $$SELECT tenancy.set_auto_assignment($A, default_roles => '{as_reader,as_none}')$$, $$SELECT tenancy.set_auto_assignment($B, default_roles => '{as own}')$$,
    $$SELECT tenancy.set_auto_assignment(gen_random_uuid(), '{example.com}')$$, $$SELECT tenancy.set_auto_assignment(NULL, '{example.com}')$$, $$SELECT tenancy.set_auto_assignment($A, (SELECT array_agg('d' || n || '.example') FROM generate_series(1, 101) n))$$,
    $$SELECT tenancy.set_auto_assignment($A)$$]) command;
-- Plain DML meets the same rules.
SELECT command, left(test.attempt(NULL, 'UPDATE tenancy.tenants SET ' || command || ' WHERE id = ' || quote_literal(:a)), 130) FROM unnest(ARRAY[
    $$email_domains = '{@example.com}'$$, $$email_domains = '{Example.com}'$$, $$email_domains = '{NULL}'$$, $$email_pattern = '(a'$$, $$email_pattern = ''$$, $$default_roles = '{NULL}'$$, $$email_domains = '{example.com}', email_pattern = 'a@b.example'$$]) command;
-- An owner of the tenant cannot have everybody who signs up at a mail provider, nor give them roles; operators can, but give no roles.
SELECT who, command, pg_temp.attempt(who, replace(command, '$A', quote_literal(:a))) FROM unnest(ARRAY[1, 3, 2, 4]) WITH ORDINALITY w (who, o), unnest(ARRAY[
    $$UPDATE tenancy.tenants SET email_domains = '{gmail.com}' WHERE id = $A$$, $$UPDATE tenancy.tenants SET email_pattern = '.*' WHERE id = $A$$, $$UPDATE tenancy.tenants SET default_roles = '{as_admin}', name = 'x' WHERE id = $A$$,
    $$SELECT tenancy.set_auto_assignment($A, '{gmail.com}')$$, $$SELECT tenancy.set_auto_assignment($A, '{example.com}', default_roles => '{as own}')$$, $$SELECT tenancy.set_auto_assignment($A, default_roles => '{as_none}')$$,
    $$SELECT tenancy.set_auto_assignment($A)$$, $$INSERT INTO tenancy.tenants (slug, name, email_domains) VALUES ('as-x', 'X', '{gmail.com}')$$, $$UPDATE tenancy.tenants SET name = 'A', email_domains = email_domains WHERE id = $A$$]) WITH ORDINALITY c (command, n) ORDER BY o, n;
\pset tuples_only off
\pset format aligned

DELETE FROM tenancy.operators WHERE user_id::text LIKE 'a5500000%';
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_role('as_reader'), tenancy.drop_role('as_admin', cascade => true), tenancy.drop_permission('as.read');
