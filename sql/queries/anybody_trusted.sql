-- Qualified throughout: it runs under the caller's search_path.
-- Whether set_identity, in either form, was granted to PUBLIC.
SELECT EXISTS (SELECT FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
                WHERE p.pronamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('tenancy') AND p.proname OPERATOR(pg_catalog.=) 'set_identity'
                  AND a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid)
