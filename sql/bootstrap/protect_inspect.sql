-- What protect_table needs to know of a table: the relations it covers, and what is there already. These
-- functions only read catalogs; the text of a name or an expression is the one Postgres itself writes with
-- search_path = pg_catalog, pg_temp, so that it can be compared and executed.

CREATE FUNCTION tenancy.application_roles() RETURNS SETOF regrole
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT DISTINCT a.grantee::regrole
      FROM pg_namespace n, aclexplode(n.nspacl) a
     WHERE n.nspname = 'tenancy' AND a.privilege_type = 'USAGE' AND a.grantee NOT IN (0, n.nspowner);
    END;
COMMENT ON FUNCTION tenancy.application_roles() IS 'Administrators only: the database roles that enable_role made application roles: those granted USAGE on schema tenancy';

-- The table and its descendants of every level, parents first. A descendant that was protected by a call of
-- its own keeps that protection, and another session's temporary child is nobody's concern.
CREATE FUNCTION tenancy.covered_relations(root regclass) RETURNS TABLE (relation regclass, place text, depth integer)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH RECURSIVE tree (id, depth) AS (
        SELECT root::oid, 0
        UNION
        SELECT i.inhrelid, t.depth + 1
          FROM tree t
          JOIN pg_inherits i ON i.inhparent = t.id
          JOIN pg_class c ON c.oid = i.inhrelid
         WHERE c.relpersistence <> 't'
           AND NOT EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = c.oid AND p.root_id <> root)
    )
    SELECT c.oid::regclass,
           CASE WHEN c.oid = root THEN 'root' WHEN c.relispartition THEN 'partition' ELSE 'child' END,
           max(t.depth)
      FROM tree t JOIN pg_class c ON c.oid = t.id
     GROUP BY c.oid, c.relispartition
     ORDER BY max(t.depth), c.oid::regclass::text COLLATE "C";
    END;
COMMENT ON FUNCTION tenancy.covered_relations(regclass) IS 'Administrators only: a table and its partitions and children, parents first; place is root, partition or child';

CREATE FUNCTION tenancy.policy_names() RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN '{!pg_tenancy_isolation,!pg_tenancy_write_insert,!pg_tenancy_write_update,!pg_tenancy_write_delete,pg_tenancy_select,pg_tenancy_insert,pg_tenancy_update,pg_tenancy_delete}'::text[];
COMMENT ON FUNCTION tenancy.policy_names() IS 'Administrators only: every name that a policy of ours has with some options';

CREATE FUNCTION tenancy.column_number(relation regclass, column_name text) RETURNS smallint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT a.attnum FROM pg_attribute a
             WHERE a.attrelid = relation AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped);
COMMENT ON FUNCTION tenancy.column_number(regclass, text) IS 'Administrators only: attnum of a column, NULL if there is none';

CREATE FUNCTION tenancy.column_type(relation regclass, column_name text) RETURNS regtype
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT a.atttypid::regtype FROM pg_attribute a
             WHERE a.attrelid = relation AND a.attnum = tenancy.column_number(relation, column_name));
COMMENT ON FUNCTION tenancy.column_type(regclass, text) IS 'Administrators only: type of a column, NULL if there is none';

CREATE FUNCTION tenancy.column_default(relation regclass, column_name text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
             WHERE d.adrelid = relation AND d.adnum = tenancy.column_number(relation, column_name));
COMMENT ON FUNCTION tenancy.column_default(regclass, text) IS 'Administrators only: the default, or the expression of a generated column, as text; NULL if there is none';

-- From Postgres 18 on a column can be marked NOT NULL by a constraint that was never checked.
CREATE FUNCTION tenancy.column_is_filled(relation regclass, column_name text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (SELECT FROM pg_attribute a
                    WHERE a.attrelid = relation AND a.attname = column_name AND a.attnotnull AND NOT a.attisdropped
                      AND NOT EXISTS (SELECT FROM pg_constraint n
                                       WHERE n.conrelid = relation AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum]
                                         AND NOT n.convalidated));
COMMENT ON FUNCTION tenancy.column_is_filled(regclass, text) IS 'Administrators only: whether the column is NOT NULL and known to be so in all rows';

-- To a key of the host's one that is NO ACTION does not do: see tenancy.guard_key().
CREATE FUNCTION tenancy.tenant_foreign_key(relation regclass, tenant_column text) RETURNS TABLE (name name, valid boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT c.conname, c.convalidated
      FROM pg_constraint c, tenancy.tenant_types() t
     WHERE c.conrelid = relation AND c.contype = 'f' AND c.confrelid = 'tenancy.tenants'::regclass
       AND c.conkey = ARRAY[tenancy.column_number(relation, tenant_column)]
       AND c.confkey = ARRAY[tenancy.column_number('tenancy.tenants', t.refers_to)]
       AND t.type = tenancy.column_type(relation, tenant_column)::text
       AND (t.refers_to = 'id' OR c.confupdtype <> 'a' AND c.confdeltype <> 'a')
       AND coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true)
     ORDER BY c.convalidated DESC, c.conname
     LIMIT 1;
    END;
COMMENT ON FUNCTION tenancy.tenant_foreign_key(regclass, text) IS 'Administrators only: the foreign key from the tenant column to tenancy.tenants, a valid one first';

-- Beside one of the host's that is NO ACTION for one of the two, ours does for the other what that does: which of them
-- Postgres comes to first then makes no difference.
CREATE FUNCTION tenancy.tenant_key_actions(relation regclass, tenant_column text, refers_to text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT CASE WHEN tenant_key_actions.refers_to = 'id' THEN ''
                ELSE format(' ON UPDATE %s ON DELETE %s', coalesce(max(u.name), 'RESTRICT'), coalesce(max(d.name), 'RESTRICT')) END
      FROM pg_constraint c
      LEFT JOIN (VALUES ('c', 'CASCADE'), ('n', 'SET NULL'), ('d', 'SET DEFAULT')) u (action, name) ON u.action = c.confupdtype
      LEFT JOIN (VALUES ('c', 'CASCADE'), ('n', 'SET NULL'), ('d', 'SET DEFAULT')) d (action, name) ON d.action = c.confdeltype
     WHERE c.conrelid = relation AND c.contype = 'f' AND c.confrelid = 'tenancy.tenants'::regclass
       AND c.conkey = ARRAY[tenancy.column_number(relation, tenant_column)];
    END;
COMMENT ON FUNCTION tenancy.tenant_key_actions(regclass, text, text) IS 'Administrators only: what the foreign key to be added from the tenant column to this column of tenancy.tenants does when that changes or goes';

CREATE FUNCTION tenancy.has_tenant_index(relation regclass, tenant_column text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (SELECT FROM pg_index i
                     JOIN pg_class c ON c.oid = i.indexrelid
                     JOIN pg_am a ON a.oid = c.relam
                     JOIN pg_attribute t ON t.attrelid = relation AND t.attnum = i.indkey[0]
                    WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND a.amname = 'btree'
                      AND i.indkey[0] = tenancy.column_number(relation, tenant_column)
                      AND i.indcollation[0] = t.attcollation);
COMMENT ON FUNCTION tenancy.has_tenant_index(regclass, text) IS 'Administrators only: whether a valid btree index over all rows starts with the tenant column, in its collation';

-- Names as Postgres makes them, <table>_<columns>_<suffix>, in at most 63 bytes; a number is added while the
-- name is taken by a relation of the schema or a constraint of the table.
CREATE FUNCTION tenancy.unused_name(relation regclass, columns text[], suffix text) RETURNS name
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stem text;
    ending text := '_' || suffix;
    attempt integer := 0;
BEGIN
    LOOP
        SELECT c.relname || '_' || array_to_string(columns, '_') INTO stem FROM pg_class c WHERE c.oid = relation;
        WHILE octet_length(stem || ending) > 63 LOOP
            stem := left(stem, -1);
        END LOOP;
        IF NOT EXISTS (SELECT FROM pg_class c
                        WHERE c.relname = stem || ending
                          AND c.relnamespace = (SELECT t.relnamespace FROM pg_class t WHERE t.oid = relation))
           AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = relation AND k.conname = stem || ending) THEN
            RETURN stem || ending;
        END IF;
        attempt := attempt + 1;
        ending := '_' || suffix || attempt;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.unused_name(regclass, text[], text) IS 'Administrators only: a name for an index or constraint of the table that nothing has yet';
