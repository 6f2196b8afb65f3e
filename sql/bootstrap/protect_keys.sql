-- Keys that cross tenants. A foreign key between protected tables that leaves the tenant out lets a row refer to
-- another tenant's, and a unique constraint that leaves it out tells whether another tenant has a value: both
-- are checked below row-level security. tenant_keys => 'fix' puts the tenant in front of their columns.

CREATE FUNCTION tenancy.column_names(relation regclass, numbers smallint[]) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT coalesce(array_agg(quote_ident(a.attname) ORDER BY k.n), '{}')
              FROM unnest(numbers) WITH ORDINALITY k (number, n)
              JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.number);
COMMENT ON FUNCTION tenancy.column_names(regclass, smallint[]) IS 'Administrators only: columns by number, as quoted names';

-- Every protected relation with its tenant column, as if root were protected with these options.
CREATE FUNCTION tenancy.tenant_columns(root regclass, options jsonb)
    RETURNS TABLE (relation regclass, ours boolean, name text, number smallint, reference text, shared boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT r.relation, true, options ->> 'tenant_column', tenancy.column_number(r.relation, options ->> 'tenant_column'),
           tenancy.tenant_reference(options), options ->> 'shared' IS NOT NULL
      FROM tenancy.covered_relations(root) r
    UNION ALL
    SELECT p.table_id, false, p.options ->> 'tenant_column', tenancy.column_number(p.table_id, p.options ->> 'tenant_column'),
           tenancy.tenant_reference(p.options), p.options ->> 'shared' IS NOT NULL
      FROM tenancy.protected_tables p
     WHERE p.options ->> 'mode' IS DISTINCT FROM 'observe'
       AND p.table_id NOT IN (SELECT r.relation FROM tenancy.covered_relations(root) r);
    END;
COMMENT ON FUNCTION tenancy.tenant_columns(regclass, jsonb) IS 'Administrators only: the tenant column of every protected relation, root and all below it included';

-- definition: what it would be with the tenant; NULL if that cannot be said, and then the reason. A key with the tenant
-- in front does not hold for shared rows, which have none.
CREATE FUNCTION tenancy.crossing_foreign_keys(root regclass, options jsonb)
    RETURNS TABLE (id oid, relation regclass, name name, definition text, reason text, target regclass, target_tenant text, target_key smallint[])
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT c.oid, c.conrelid::regclass, c.conname,
           CASE WHEN w.reason IS NULL
                THEN format('FOREIGN KEY (%I, %s) REFERENCES %s (%I, %s)', f.name, t.columns, c.confrelid::regclass, p.name, t.targets)
                     || regexp_replace(replace(substr(pg_get_constraintdef(c.oid), length(t.head) + 1), ' MATCH FULL', ''),
                                       '(ON DELETE SET (NULL|DEFAULT))(?! \()', '\1 (' || replace(t.columns, '\', '\\') || ')') END,
           w.reason, c.confrelid::regclass, p.name, c.confkey
      FROM pg_constraint c
      JOIN tenancy.tenant_columns(root, options) f ON f.relation = c.conrelid
      JOIN tenancy.tenant_columns(root, options) p ON p.relation = c.confrelid
     CROSS JOIN LATERAL (
           SELECT k.columns, k.targets, format('FOREIGN KEY (%s) REFERENCES %s(%s)', k.columns, c.confrelid::regclass, k.targets) AS head
             FROM (SELECT array_to_string(tenancy.column_names(c.conrelid, c.conkey), ', ') AS columns,
                          array_to_string(tenancy.column_names(c.confrelid, c.confkey), ', ') AS targets) k
           ) t
     CROSS JOIN LATERAL (
           SELECT CASE WHEN NOT starts_with(pg_get_constraintdef(c.oid), t.head) OR c.confupdtype IN ('n', 'd')
                            OR c.confmatchtype <> 's' AND cardinality(c.conkey) > 1
                       THEN 'ON UPDATE SET NULL or SET DEFAULT, MATCH FULL and PERIOD have no equal with the tenant in front.'
                       WHEN f.reference <> p.reference THEN 'The tenant columns of the two tables are of different kinds.'
                       WHEN f.shared OR p.shared THEN 'It would not hold for shared rows, which have no tenant.' END
           ) w (reason)
     WHERE c.contype = 'f' AND c.conparentid = 0 AND (f.ours OR p.ours)
       AND NOT EXISTS (SELECT FROM unnest(c.conkey, c.confkey) u (a, b) WHERE u.a = f.number AND u.b = p.number);
    END;
COMMENT ON FUNCTION tenancy.crossing_foreign_keys(regclass, jsonb) IS 'Administrators only: foreign keys between protected tables that leave the tenant out';

CREATE FUNCTION tenancy.crossing_unique_keys(root regclass, options jsonb)
    RETURNS TABLE (id oid, kind text, relation regclass, name name, definition text, reason text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT i.indexrelid, d.kind, i.indrelid::regclass, x.relname,
           CASE WHEN w.reason IS NULL AND starts_with(d.text, d.head)
                THEN d.new_head || quote_ident(t.name) || ', ' || substr(d.text, length(d.head) + 1) END,
           coalesce(w.reason, CASE WHEN NOT starts_with(d.text, d.head) THEN 'Its definition is of a kind that is not rewritten.' END)
      FROM pg_index i
      JOIN tenancy.tenant_columns(root, options) t ON t.relation = i.indrelid AND t.ours
      JOIN pg_class x ON x.oid = i.indexrelid
      LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid AND c.contype IN ('u', 'x')
     CROSS JOIN LATERAL (
           SELECT CASE c.contype WHEN 'u' THEN 'unique constraint' WHEN 'x' THEN 'exclusion constraint' ELSE 'unique index' END,
                  coalesce(pg_get_constraintdef(c.oid), pg_get_indexdef(i.indexrelid)),
                  CASE c.contype WHEN 'u' THEN h.constraint_head WHEN 'x' THEN 'EXCLUDE: not rewritten'
                                 ELSE format(h.index_head, x.relname, CASE x.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END, i.indrelid::regclass) END,
                  CASE c.contype WHEN 'u' THEN h.constraint_head ELSE format(h.index_head, x.relname, '', i.indrelid::regclass) END
             FROM (VALUES (CASE WHEN i.indnullsnotdistinct THEN 'UNIQUE NULLS NOT DISTINCT (' ELSE 'UNIQUE (' END,
                           'CREATE UNIQUE INDEX %I ON %s%s USING btree (')) h (constraint_head, index_head)
           ) d (kind, text, head, new_head)
     CROSS JOIN LATERAL (
           SELECT CASE WHEN t.shared THEN 'It would not hold for shared rows, which have no tenant.'
                       WHEN i.indisreplident THEN 'It is the table''s replica identity.'
                       WHEN NOT i.indisvalid THEN 'It is not valid.'
                       -- Its text is executed with the caller's rights, and a constant of such a type runs its owner's code when it is parsed.
                       WHEN EXISTS (SELECT FROM pg_depend e JOIN pg_type y ON y.oid = e.refobjid JOIN pg_roles o ON o.oid = y.typowner
                                     WHERE e.classid = 'pg_class'::regclass AND e.objid = i.indexrelid AND e.refclassid = 'pg_type'::regclass
                                       AND NOT o.rolsuper AND o.rolname <> current_user)
                       THEN 'It computes with a type whose owner is no superuser.'
                       WHEN EXISTS (SELECT FROM pg_constraint f
                                     WHERE f.contype = 'f' AND f.conindid = i.indexrelid AND f.conparentid = 0
                                       AND NOT EXISTS (SELECT FROM tenancy.crossing_foreign_keys(root, options) k
                                                        WHERE k.id = f.oid AND k.definition IS NOT NULL))
                       THEN 'Foreign keys refer to it that are not rewritten.' END
           ) w (reason)
     WHERE (i.indisunique OR c.contype = 'x') AND NOT i.indisprimary
       AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
       AND NOT coalesce(t.number = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1]), false);
    END;
COMMENT ON FUNCTION tenancy.crossing_unique_keys(regclass, jsonb) IS 'Administrators only: unique and exclusion constraints and unique indexes, primary keys apart, that leave the tenant out';

CREATE FUNCTION tenancy.crossing_keys(root regclass, options jsonb)
    RETURNS TABLE (kind text, relation regclass, name name, definition text, reason text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT k.kind, k.relation, k.name, k.definition, k.reason FROM (
        SELECT 'foreign key', f.relation, f.name, f.definition, f.reason
          FROM tenancy.crossing_foreign_keys(root, options) f
        UNION ALL
        SELECT u.kind, u.relation, u.name, u.definition, u.reason FROM tenancy.crossing_unique_keys(root, options) u
    ) k (kind, relation, name, definition, reason)
     ORDER BY k.kind, k.relation::text COLLATE "C", k.name;
    END;
COMMENT ON FUNCTION tenancy.crossing_keys(regclass, jsonb) IS 'Administrators only: keys of and between protected tables that leave the tenant out, with their rewritten definition or the reason why there is none';

-- Foreign keys go, unique keys change, what the foreign keys need is added, and they come back.
CREATE FUNCTION tenancy.rewrite_keys(root regclass, options jsonb) RETURNS TABLE (phase integer, statement text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    needed record;
BEGIN
    RETURN QUERY
        SELECT 100, format('ALTER TABLE %s DROP CONSTRAINT %I', f.relation, f.name)
          FROM tenancy.crossing_foreign_keys(root, options) f WHERE f.definition IS NOT NULL
         ORDER BY f.relation::text COLLATE "C", f.name;
    RETURN QUERY
        SELECT 101, s.statement
          FROM tenancy.crossing_unique_keys(root, options) u,
               LATERAL (VALUES (1, CASE u.kind WHEN 'unique index' THEN format('DROP INDEX %s', u.id::regclass)
                                               ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', u.relation, u.name) END),
                               (2, CASE u.kind WHEN 'unique index' THEN u.definition
                                               ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', u.relation, u.name, u.definition) END)
                       ) s (n, statement)
         WHERE u.definition IS NOT NULL
         ORDER BY u.relation::text COLLATE "C", u.name, s.n;
    -- A key over the same columns serves, be it there already or rewritten just now.
    FOR needed IN
        SELECT DISTINCT ON (f.target::text COLLATE "C", sorted.key) f.target, f.target_tenant, f.target_key
          FROM tenancy.crossing_foreign_keys(root, options) f
         CROSS JOIN LATERAL (SELECT ARRAY(SELECT unnest(f.target_key) ORDER BY 1)) sorted (key)
         WHERE f.definition IS NOT NULL
         ORDER BY f.target::text COLLATE "C", sorted.key, f.name
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_index i
              LEFT JOIN tenancy.crossing_unique_keys(root, options) u ON u.id = i.indexrelid AND u.definition IS NOT NULL
             WHERE i.indrelid = needed.target AND i.indisunique AND i.indisvalid AND i.indimmediate
               AND i.indpred IS NULL AND i.indexprs IS NULL
               AND ARRAY(SELECT unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1]) ORDER BY 1)
                   = ARRAY(SELECT unnest(needed.target_key || CASE WHEN u.id IS NULL
                                         THEN ARRAY[tenancy.column_number(needed.target, needed.target_tenant)] ELSE '{}' END) ORDER BY 1));
        RETURN QUERY
            SELECT 102, format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE (%I, %s)', needed.target,
                               tenancy.unused_name(needed.target, needed.target_tenant || array_agg(a.attname::text ORDER BY k.n), 'key'),
                               needed.target_tenant, string_agg(quote_ident(a.attname), ', ' ORDER BY k.n))
              FROM unnest(needed.target_key) WITH ORDINALITY k (number, n)
              JOIN pg_attribute a ON a.attrelid = needed.target AND a.attnum = k.number;
    END LOOP;
    RETURN QUERY
        SELECT 103, CASE WHEN tenancy.trusts_owners(f.relation) AND tenancy.trusts_owners(f.target) THEN s.statement
                         ELSE format('CALL tenancy.alter_as_owner(%L, %L)', f.relation, s.statement) END
          FROM tenancy.crossing_foreign_keys(root, options) f, format('ALTER TABLE %s ADD CONSTRAINT %I %s', f.relation, f.name, f.definition) s (statement)
         WHERE f.definition IS NOT NULL
         ORDER BY f.relation::text COLLATE "C", f.name;
END
$$;
COMMENT ON FUNCTION tenancy.rewrite_keys(regclass, jsonb) IS 'Administrators only: the statements of tenant_keys => ''fix''';
