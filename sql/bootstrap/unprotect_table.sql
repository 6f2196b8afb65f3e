-- Undoes what protect_table did and nobody changed since. Data stays: of the structure only constraints and
-- indexes go, and only on request; an added column goes with them if it is empty.

CREATE FUNCTION tenancy.unprotect_access(relation regclass, undo jsonb) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF undo ? 'forced' AND (SELECT c.relforcerowsecurity FROM pg_class c WHERE c.oid = relation) THEN
        RETURN NEXT format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', relation);
    END IF;
    RETURN QUERY SELECT format('DROP POLICY %I ON %s', p.polname, relation)
                   FROM pg_policy p
                  WHERE p.polrelid = relation
                    AND p.polname = ANY (tenancy.policy_names())
                  ORDER BY p.polname;
    IF undo ? 'enabled' AND (SELECT c.relrowsecurity FROM pg_class c WHERE c.oid = relation) THEN
        RETURN NEXT format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', relation);
    END IF;
    RETURN QUERY SELECT format('DROP TRIGGER %I ON %s', t.tgname, relation)
                   FROM pg_trigger t
                  WHERE t.tgrelid = relation AND t.tgname = ANY (tenancy.trigger_names()) AND t.tgparentid = 0
                  ORDER BY t.tgname;
    RETURN QUERY SELECT format('GRANT %s%s ON TABLE %s TO %s', r ->> 'privilege', ' (' || quote_ident(r ->> 'column') || ')', relation, r ->> 'from')
                        || CASE WHEN (r ->> 'grantable')::boolean THEN ' WITH GRANT OPTION' ELSE '' END
                   FROM jsonb_array_elements(undo -> 'revoked') r
                  WHERE (r ->> 'from' = 'PUBLIC' OR to_regrole(r ->> 'from') IS NOT NULL)
                    AND (r ->> 'column' IS NULL OR tenancy.column_number(relation, r ->> 'column') IS NOT NULL);
END
$$;
COMMENT ON FUNCTION tenancy.unprotect_access(regclass, jsonb) IS 'Administrators only: the statements that take policies and triggers away and give flags and privileges back';

CREATE FUNCTION tenancy.unprotect_structure(relation regclass, is_partition boolean, options jsonb, undo jsonb, drop_structure boolean) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    tenant_column text := options ->> 'tenant_column';
    holds boolean;
BEGIN
    IF tenancy.column_number(relation, tenant_column) IS NULL THEN
        RETURN;
    END IF;
    -- What a staged run that did not come to its end left behind.
    RETURN QUERY SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', relation, c.conname)
                   FROM pg_constraint c
                  WHERE c.conrelid = relation AND c.contype = 'c' AND c.conname = 'pg_tenancy_tenant_given' AND c.coninhcount = 0;
    IF undo ? 'default' AND tenancy.column_default(relation, tenant_column) = tenancy.tenant_default(options) THEN
        RETURN NEXT format('ALTER TABLE ONLY %s ALTER COLUMN %I DROP DEFAULT', relation, tenant_column);
    END IF;
    IF NOT drop_structure THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', relation, c.conname)
                   FROM pg_constraint c
                  WHERE c.conrelid = relation AND c.contype = 'f' AND c.conname = undo ->> 'foreign_key'
                    AND c.confrelid = 'tenancy.tenants'::regclass AND c.conparentid = 0;
    RETURN QUERY SELECT format('DROP INDEX %s', i.indexrelid::regclass)
                   FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                  WHERE i.indrelid = relation AND c.relname = undo ->> 'index'
                    AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
                    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid);
    -- What else partitions have is the root's; their own keys and indexes were left by a staged run that did not come to its end.
    IF is_partition THEN
        RETURN;
    END IF;
    IF undo ? 'column' THEN
        holds := 'true' = ANY (tenancy.read_parts(relation, 'SELECT EXISTS (SELECT FROM ', format(' WHERE %I IS NOT NULL)::text', tenant_column)));
        IF NOT holds THEN
            RETURN NEXT format('ALTER TABLE %s DROP COLUMN %I', relation, tenant_column);
            RETURN;
        END IF;
        RAISE NOTICE 'table %: column "%" is kept because it holds data', relation, tenant_column;
    END IF;
    IF undo ? 'not_null' THEN
        RETURN QUERY SELECT format('ALTER TABLE %s%s ALTER COLUMN %I DROP NOT NULL',
                                   CASE c.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END, relation, tenant_column)
                       FROM pg_class c WHERE c.oid = relation;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.unprotect_structure(regclass, boolean, jsonb, jsonb, boolean) IS 'Administrators only: the statements that take our default away and, if asked, the constraints and index that we added';

CREATE FUNCTION tenancy.unprotect_table("table" regclass, drop_structure boolean DEFAULT false) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
DECLARE
    root regclass;
    above regclass;
    takers text;
    covered record;
    all_covered tenancy.protected_tables[];
    statement text;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to unprotect a table' USING ERRCODE = '42501',
            HINT = 'Only administrators may.';
    END IF;
    IF "table" IS NULL OR drop_structure IS NULL THEN
        RAISE EXCEPTION 'table and drop_structure must not be null' USING ERRCODE = '22023';
    END IF;
    SELECT p.root_id INTO root FROM tenancy.protected_tables p WHERE p.table_id = "table";
    IF NOT FOUND THEN
        RETURN false;
    ELSIF root <> "table" THEN
        RAISE EXCEPTION 'cannot unprotect % by itself: it is covered with table %', "table", root USING ERRCODE = '22023',
            HINT = format('Name %s, or detach the table from it first.', root);
    END IF;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', root);
    SELECT string_agg(p.table_id::text, ', ' ORDER BY p.table_id::text COLLATE "C") INTO takers
      FROM tenancy.protected_tables p JOIN tenancy.protected_tables q ON q.table_id = to_regclass(p.options #>> '{backfill_from,table}')
     WHERE q.root_id = root AND p.table_id = p.root_id;
    IF takers IS NOT NULL THEN
        RAISE EXCEPTION 'cannot unprotect %: other tables take the tenant of their rows from it', root USING ERRCODE = '2BP01',
            DETAIL = format('Protected with backfill_from: %s.', takers),
            HINT = 'Unprotect these first, or protect them again without backfill_from.';
    END IF;
    IF EXISTS (SELECT FROM tenancy.metered_tables m WHERE m.root_id = root) THEN
        RAISE EXCEPTION 'cannot unprotect %: its rows are counted for their tenants', root USING ERRCODE = '55000',
            HINT = format('SELECT tenancy.unmeter_table(%L); first.', root::text);
    END IF;
    all_covered := ARRAY(SELECT p FROM tenancy.protected_tables p JOIN tenancy.covered_relations(root) c ON c.relation = p.table_id
                          ORDER BY c.depth, p.table_id::text COLLATE "C");
    -- What is below another protected table would be covered with it at the first statement here, so it is now.
    SELECT q.root_id INTO above FROM pg_inherits i JOIN tenancy.protected_tables q ON q.table_id = i.inhparent
     WHERE i.inhrelid = root AND q.root_id <> root ORDER BY i.inhseqno LIMIT 1;
    IF FOUND THEN
        UPDATE tenancy.protected_tables p SET root_id = above WHERE p.root_id = root;
        PERFORM tenancy.cover_relation(above, u.table_id) FROM unnest(all_covered) u;
        RETURN true;
    END IF;
    -- The rows first, so that the event trigger finds nothing to look after; access before structure, so that
    -- an owner who was forced can see whether the column is empty.
    DELETE FROM tenancy.protected_tables p WHERE p.root_id = root;
    FOR covered IN SELECT u.table_id, u.undo FROM unnest(all_covered) u LOOP
        FOREACH statement IN ARRAY ARRAY(SELECT tenancy.unprotect_access(covered.table_id, covered.undo)) LOOP
            EXECUTE statement;
        END LOOP;
    END LOOP;
    FOR covered IN SELECT u.table_id, u.undo, u.options, c.relispartition
                     FROM unnest(all_covered) u JOIN pg_class c ON c.oid = u.table_id LOOP
        FOREACH statement IN ARRAY ARRAY(SELECT tenancy.unprotect_structure(covered.table_id, covered.relispartition,
                                                   covered.options, covered.undo, drop_structure)) LOOP
            EXECUTE statement;
        END LOOP;
    END LOOP;
    RETURN true;
END
$$;
COMMENT ON FUNCTION tenancy.unprotect_table(regclass, boolean) IS 'Administrators only: takes away what protect_table put on a table, its partitions and children, and gives back the flags and privileges that it changed. Keeps the column, NOT NULL, foreign key and index, unless drop_structure, which drops those that were added; data stays. A partition or child that was protected by itself is covered with the table above it instead, if that is protected. Returns whether the table was protected. Errors: 42501 not an administrator or owner; 22023 a partition or child; 2BP01 others take their tenant from it; 55000 it is metered';
