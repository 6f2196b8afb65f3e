-- What policies that somebody else wrote let through beside ours, in words.

-- The condition is the text Postgres writes, so few forms have to be known; but by all of it, since what is joined to a known
-- form by OR or turned round by NOT lets through something else.
CREATE FUNCTION tenancy.policy_in_words(permissive boolean, condition text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT CASE
        WHEN NOT permissive AND coalesce(condition, 'true') = 'true' THEN 'narrows nothing'
        WHEN NOT permissive AND condition = 'false' THEN 'nothing, whatever other policies say'
        WHEN NOT permissive THEN 'nothing more, it narrows what other policies let through to rows for which ' || condition
        WHEN coalesce(condition, 'true') = 'true' THEN 'every row of the tenant, whatever permission the user holds'
        WHEN condition = 'false' THEN 'nothing'
        WHEN condition ~ '^\(*"?[\w ]+"? = (\( SELECT )?(auth\.uid|tenancy\.current_user_id)\(\)( AS \w+\))?\)*$'
             OR condition ~ '^\(*(\( SELECT )?(auth\.uid|tenancy\.current_user_id)\(\)( AS \w+\))? = "?[\w ]+"?\)*$'
            THEN 'the user''s own rows, whatever permission he holds'
        WHEN condition ~ concat('^\(*', p.role, '(\)::[a-z]+)? (=|<>|= ANY|<> ALL) (\((ARRAY\[)?)?', p.literal, '(, ', p.literal, ')*\]?\)*$')
            THEN 'every row of the tenant for certain database roles, whatever permission the user holds: ' || condition
        WHEN condition ~ concat('^', p.call, '( (AND|OR) ', p.call, ')*$')
            THEN 'rows for which another permission, or more than one, decides: ' || condition
        ELSE 'rows for which the following holds, whatever permission the user holds: ' || condition
    END FROM (VALUES ('(CURRENT_USER|CURRENT_ROLE|SESSION_USER|USER|(\( SELECT )?auth\.role\(\)( AS \w+\))?)',
                      '''(''''|[^''])*''::[a-z]+(\[\])?',
                      '\(*(\( SELECT )?tenancy\.has_(any_|all_)?permission\((''(''''|[^''])*''|[^''()]|\([^''()]*\))*\)( AS \w+\))?\)*'
                     )) p (role, literal, call));
COMMENT ON FUNCTION tenancy.policy_in_words(boolean, text) IS 'Administrators only: what a policy with this condition lets through inside a tenant beside permissions';

CREATE FUNCTION tenancy.existing_policies("table" regclass)
    RETURNS TABLE (relation regclass, policy name, permissive boolean, command text, roles name[], using_condition text, check_condition text,
                   lets_through text, estimated_rows bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to report policies' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    IF "table" IS NULL OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = "table") THEN
        RAISE EXCEPTION 'table must be given' USING ERRCODE = '22023', HINT = 'Pass the table''s name, as in ''public.docs''.';
    END IF;
    RETURN QUERY
        SELECT r.relation, p.polname, p.polpermissive,
               CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
               CASE WHEN p.polroles = '{0}' THEN '{public}' ELSE ARRAY(SELECT d.rolname FROM pg_roles d WHERE d.oid = ANY (p.polroles) ORDER BY d.rolname) END,
               c.qual, c.checked,
               concat_ws('; ',
                   CASE WHEN p.polcmd <> 'a' THEN
                       CASE p.polcmd WHEN 'r' THEN 'read: ' WHEN 'w' THEN 'change: ' WHEN 'd' THEN 'delete: ' ELSE 'read, change, delete: ' END
                       || tenancy.policy_in_words(p.polpermissive, c.qual) END,
                   -- Without WITH CHECK, USING counts for new rows too.
                   CASE WHEN p.polcmd IN ('a', 'w', '*') THEN
                       CASE p.polcmd WHEN 'w' THEN 'what changed rows become: ' ELSE 'add: ' END
                       || tenancy.policy_in_words(p.polpermissive, coalesce(c.checked, c.qual)) END,
                   CASE WHEN NOT t.relrowsecurity THEN 'not in force today: row security is off' END,
                   CASE WHEN p.polroles <> '{0}' THEN 'only for these database roles and their members' END),
               CASE WHEN p.polpermissive AND p.polcmd <> 'a' AND coalesce(c.qual, 'true') = 'true' AND t.reltuples >= 0 THEN t.reltuples::bigint
                    WHEN p.polpermissive AND p.polcmd <> 'a' AND c.qual = 'false' THEN 0 END
          FROM tenancy.covered_relations("table") r
          JOIN pg_class t ON t.oid = r.relation
          JOIN pg_policy p ON p.polrelid = r.relation
         CROSS JOIN LATERAL (SELECT pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) c (qual, checked)
         WHERE p.polname <> ALL (tenancy.policy_names())
         ORDER BY r.depth, r.relation::text COLLATE "C", p.polname;
END
$$;
COMMENT ON FUNCTION tenancy.existing_policies(regclass) IS 'Administrators only: the policies beside ours on a table, its partitions and children, and what each lets through inside a tenant once the table is protected and the policy kept; estimated_rows where that is known without a user: all rows of all tenants, or none. Errors: 42501 not an administrator; 22023 no table';
