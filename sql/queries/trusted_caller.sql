-- Qualified throughout: it runs under the caller's search_path.
-- Whether the current database role may call set_identity because trust_caller said so, and not for being a superuser.
SELECT NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) current_user)
   AND EXISTS (SELECT FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
                WHERE p.pronamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('tenancy') AND p.proname OPERATOR(pg_catalog.=) 'set_identity'
                  AND a.grantee OPERATOR(pg_catalog.<>) p.proowner AND pg_catalog.pg_has_role(a.grantee, 'USAGE'))
