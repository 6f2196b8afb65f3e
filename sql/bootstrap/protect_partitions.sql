-- Event triggers. A partition or child that appears below a protected table is protected like it, whoever made
-- it, and a table that is gone is forgotten. Everybody's DDL passes here: so it is quick when nothing is
-- protected or concerned, and it never fails. During a restore protected_tables is empty until all tables are
-- there, and then complete: nothing without a row is left to be covered. Estimates of queries over catalogs are high enough
-- for JIT, whose compiling would take a hundred times as long as they do, at each statement, with the table locked.

-- What a descendant lacks, in two parts: its data may stand in the way of constraints, but not of isolation.
CREATE FUNCTION tenancy.cover_relation(root regclass, relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    options jsonb;
    statement text;
    step record;
    owner_is_trusted boolean;
    kind "char";
BEGIN
    SELECT p.options INTO options FROM tenancy.protected_tables p WHERE p.table_id = root;
    SELECT c.relkind, r.rolsuper OR r.oid = (SELECT t.relowner FROM pg_class t WHERE t.oid = 'tenancy.tenants'::regclass)
      INTO kind, owner_is_trusted
      FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = relation;
    IF kind = 'f' THEN
        RAISE WARNING 'table % is not protected: it is a foreign table, and these cannot be', relation USING
            DETAIL = format('It is below %s, which is. Foreign tables have no row-level security.', root),
            HINT = format('Leave nobody a privilege on it; through %s the policies of that hold.', root);
        RETURN;
    END IF;
    -- It holds tenants' rows now, whatever was said of it before.
    DELETE FROM tenancy.reference_tables r WHERE r.table_id = relation;
    IF FOUND THEN
        RAISE NOTICE 'table % is no longer declared a reference table', relation USING DETAIL = format('It is below %s, which is protected.', root);
    END IF;
    BEGIN
        FOREACH statement IN ARRAY ARRAY(SELECT s.statement FROM tenancy.protect_statements(root, options, NULL, relation) s
                                          WHERE s.phase < 40 OR s.phase >= 110) LOOP
            EXECUTE statement;
        END LOOP;
        FOR step IN SELECT * FROM tenancy.protect_statements(root, options, NULL, relation) LOOP
            BEGIN
                -- What looks at rows or constraints runs what the owner had his indexes and constraints compute, which must
                -- not run with our rights: anybody may make a table of his a child of his protected one.
                IF step.phase = 70 THEN
                    PERFORM tenancy.execute_as_owner(relation, step.statement);
                ELSIF step.phase <> 80 OR owner_is_trusted THEN
                    EXECUTE step.statement;
                ELSIF step.statement NOT LIKE '% VALIDATE CONSTRAINT %' THEN
                    EXECUTE step.statement || ' NOT VALID';
                END IF;
            EXCEPTION WHEN OTHERS THEN
                RAISE WARNING 'table %: %', relation, SQLERRM USING
                    DETAIL = format('It is isolated, but lacks a part of what protects %s: %s', root, step.statement),
                    HINT = format('Correct it, then call tenancy.protect_table() for %s again.', root);
            END;
        END LOOP;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'table % is not protected: %', relation, SQLERRM USING
            DETAIL = format('It is below %s, which is.', root),
            HINT = format('Correct it, then call tenancy.protect_table() for %s again.', root);
    END;
END
$$;
COMMENT ON FUNCTION tenancy.cover_relation(regclass, regclass) IS 'Administrators only: protects a partition or child of a protected table; problems are warnings';

CREATE FUNCTION tenancy.reference_by_trigger(relation regclass) RETURNS TABLE (parent regclass, reference text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT p.refobjid::regclass, a.attname
      FROM pg_trigger t
      JOIN pg_depend p ON p.classid = 'pg_trigger'::regclass AND p.objid = t.oid AND p.refclassid = 'pg_class'::regclass
                      AND p.refobjid <> t.tgrelid AND p.refobjsubid = 0 AND p.deptype = 'n'
      JOIN pg_depend c ON c.classid = 'pg_trigger'::regclass AND c.objid = t.oid AND c.refclassid = 'pg_class'::regclass
                      AND c.refobjid = t.tgrelid AND c.refobjsubid > 0
      JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = c.refobjsubid
     WHERE t.tgrelid = relation AND t.tgname = '~pg_tenancy_copy_tenant' AND t.tgfoid = 'tenancy.copy_tenant()'::regprocedure;
    END;
COMMENT ON FUNCTION tenancy.reference_by_trigger(regclass) IS 'Administrators only: the other table and the column that the copying trigger of a table depends on';

CREATE FUNCTION tenancy.cover_descendants() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    item record;
    changed oid[];
    everything boolean;
BEGIN
    SELECT coalesce(array_agg(d.objid) FILTER (WHERE d.classid = 'pg_class'::regclass), '{}'), coalesce(bool_or(d.command_tag = 'ALTER SCHEMA'), false)
      INTO changed, everything FROM pg_event_trigger_ddl_commands() d;
    IF NOT everything
       AND NOT EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = ANY (changed))
       AND NOT EXISTS (SELECT FROM pg_inherits i JOIN tenancy.protected_tables p ON p.table_id = i.inhparent WHERE i.inhrelid = ANY (changed))
       AND NOT EXISTS (SELECT FROM pg_inherits i JOIN tenancy.protected_tables p ON p.table_id = i.inhrelid WHERE i.inhparent = ANY (changed)) THEN
        RETURN;
    END IF;
    -- Nor is there anything to do where all that changed is covered with what is above it, and has nothing below: so it is at
    -- most of our own statements, which are several for each partition.
    IF NOT everything AND NOT EXISTS (
        SELECT FROM unnest(changed) u (id)
         WHERE NOT EXISTS (
               SELECT FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id JOIN pg_inherits i ON i.inhrelid = p.table_id
                 LEFT JOIN tenancy.protected_tables q ON q.table_id = i.inhparent AND q.root_id = p.root_id
                WHERE p.table_id = u.id AND p.root_id <> p.table_id AND NOT c.relhassubclass AND p.options ->> 'backfill_from' IS NULL
                  AND tenancy.column_number(p.table_id, p.options ->> 'tenant_column') IS NOT NULL
                  AND NOT EXISTS (SELECT FROM tenancy.metered_tables m WHERE m.table_id = p.table_id)
                  -- Nothing takes its tenant from it, which a trigger that depends on it would tell.
                  AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_trigger t ON t.oid = d.objid AND t.tgrelid <> p.table_id
                                   WHERE d.classid = 'pg_trigger'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.table_id)
               HAVING count(*) > 0 AND count(*) = count(q.table_id))) THEN
        RETURN;
    END IF;
    -- Owners can make policies and triggers that look like ours: what they say of their own tables must not keep us from anybody
    -- else's. So each table has a handler of its own.
    -- A renamed tenant column: the policy knows which it is. An observed table has none, but the default that was given to
    -- it, or its index.
    FOR item IN
        SELECT DISTINCT ON (p.table_id) p.table_id, coalesce(c.attname, tenancy.observed_column(p.table_id, p.undo)) AS tenant_column
          FROM tenancy.protected_tables p
          LEFT JOIN LATERAL (
               SELECT a.attname
                 FROM pg_policy o
                 JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = o.oid AND d.refclassid = 'pg_class'::regclass
                 JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE o.polrelid = p.table_id AND o.polname = '!pg_tenancy_isolation' AND d.refobjid = p.table_id AND d.refobjsubid > 0) c ON true
         WHERE tenancy.column_number(p.table_id, p.options ->> 'tenant_column') IS NULL
           AND (c.attname IS NOT NULL OR p.options ->> 'mode' = 'observe')
         ORDER BY p.table_id, c.attname
    LOOP
        CONTINUE WHEN item.tenant_column IS NULL;
        BEGIN
            UPDATE tenancy.protected_tables p
               SET options = p.options || jsonb_build_object('tenant_column', item.tenant_column) WHERE p.table_id = item.table_id;
        EXCEPTION WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            RAISE WARNING 'table % is not looked after: %', item.table_id, SQLERRM;
        END;
    END LOOP;
    -- A renamed table that others take their tenant from, or column that refers to it: the trigger knows which they are. But who
    -- may call our functions can have them name any table: one that is protected counts, and that takes no tenant from this one.
    FOR item IN
        SELECT p.table_id, p.root_id, r.parent, r.reference
          FROM tenancy.protected_tables p CROSS JOIN LATERAL tenancy.reference_by_trigger(p.table_id) r
         WHERE p.options ->> 'backfill_from' IS NOT NULL AND (everything OR p.table_id = ANY (changed) OR r.parent = ANY (changed))
           AND EXISTS (SELECT FROM tenancy.protected_tables q WHERE q.table_id = r.parent)
           AND NOT EXISTS (SELECT FROM tenancy.reference_line(p.root_id, r.parent) l JOIN tenancy.protected_tables q ON q.table_id = l.relation
                            WHERE q.root_id = p.root_id)
    LOOP
        BEGIN
            UPDATE tenancy.protected_tables p
               SET options = p.options || jsonb_build_object('backfill_from', jsonb_build_object('table', item.parent, 'column', item.reference))
             WHERE p.table_id = item.table_id
               AND p.options -> 'backfill_from' <> jsonb_build_object('table', item.parent, 'column', item.reference);
            IF EXISTS (
                SELECT FROM pg_trigger t JOIN tenancy.protected_tables p ON p.table_id = t.tgrelid
                 WHERE t.tgrelid = item.table_id AND t.tgparentid = 0 AND t.tgname = ANY (tenancy.trigger_names())
                   AND NOT EXISTS (SELECT FROM tenancy.wanted_triggers(p.table_id, p.root_id, p.options) w
                                    WHERE w.name = t.tgname AND coalesce(w.definition = pg_get_triggerdef(t.oid), true))) THEN
                PERFORM tenancy.cover_relation(item.root_id, item.table_id);
            END IF;
        EXCEPTION WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            RAISE WARNING 'table % is not looked after: %', item.table_id, SQLERRM;
        END;
    END LOOP;
    -- No longer below its root: it is the root of what is below it.
    FOR item IN
        SELECT p.table_id, p.root_id FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id
         WHERE p.table_id <> p.root_id
           AND NOT EXISTS (SELECT FROM pg_inherits i JOIN tenancy.protected_tables q ON q.table_id = i.inhparent
                            WHERE i.inhrelid = p.table_id AND q.root_id = p.root_id)
    LOOP
        BEGIN
            WITH RECURSIVE below (id) AS (
                SELECT item.table_id::oid
                UNION
                SELECT i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.id
            )
            UPDATE tenancy.protected_tables p SET root_id = item.table_id
              FROM below b WHERE p.table_id = b.id AND p.root_id = item.root_id;
            PERFORM tenancy.cover_relation(item.table_id, item.table_id);
        EXCEPTION WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            RAISE WARNING 'table % is not looked after: %', item.table_id, SQLERRM;
        END;
    END LOOP;
    -- Attached again, or protected by itself in the same way before: it is covered with what is above it.
    FOR item IN
        SELECT p.table_id, q.root_id FROM tenancy.protected_tables p JOIN pg_inherits i ON i.inhrelid = p.table_id
          JOIN tenancy.protected_tables q ON q.table_id = i.inhparent
         WHERE p.table_id = p.root_id AND q.options = p.options
    LOOP
        BEGIN
            UPDATE tenancy.protected_tables p SET root_id = item.root_id WHERE p.root_id = item.table_id;
            PERFORM tenancy.cover_relation(item.root_id, item.table_id);
        EXCEPTION WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            RAISE WARNING 'table % is not looked after: %', item.table_id, SQLERRM;
        END;
    END LOOP;
    FOR item IN
        SELECT r.table_id, c.relation
          FROM tenancy.protected_tables r CROSS JOIN LATERAL tenancy.covered_relations(r.table_id) c
         WHERE r.table_id = r.root_id
           AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = r.table_id)
           AND NOT EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = c.relation)
           -- A foreign table can only be warned of, and not at every statement anywhere.
           AND (c.relation::oid = ANY (changed) OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.relation AND i.inhparent = ANY (changed))
                OR NOT EXISTS (SELECT FROM pg_class f WHERE f.oid = c.relation AND f.relkind = 'f'))
         ORDER BY c.depth, c.relation::text COLLATE "C", r.table_id
    LOOP
        -- Statements on one may have woken this trigger, which then took the rest.
        CONTINUE WHEN EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = item.relation);
        PERFORM tenancy.cover_relation(item.table_id, item.relation);
    END LOOP;
    PERFORM tenancy.cover_metered();
    PERFORM tenancy.warn_of_gaps(changed);
EXCEPTION WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
    -- Tried again, it finds its locks free.
    RAISE;
WHEN OTHERS THEN
    RAISE WARNING 'pg_tenancy could not look for new partitions and children of protected tables: %', SQLERRM;
END
$$;
REVOKE ALL ON FUNCTION tenancy.cover_descendants() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.cover_descendants() IS 'Event trigger function: protects partitions and children that appear below protected tables';

-- Without the tenant column nothing isolates, and what others allow would be allowed to all: so nobody is let in.
CREATE FUNCTION tenancy.look_after_dropped() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    relation regclass;
BEGIN
    DELETE FROM tenancy.protected_tables p
     USING pg_event_trigger_dropped_objects() d
     WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.objid = p.table_id;
    DELETE FROM tenancy.reference_tables r
     USING pg_event_trigger_dropped_objects() d
     WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.objid = r.table_id;
    FOR relation IN
        SELECT DISTINCT p.table_id
          FROM tenancy.protected_tables p JOIN pg_event_trigger_dropped_objects() d ON d.objid = p.table_id
         WHERE d.classid = 'pg_class'::regclass AND d.objsubid > 0 AND p.options ->> 'mode' IS DISTINCT FROM 'observe'
           AND tenancy.column_number(p.table_id, p.options ->> 'tenant_column') IS NULL
           AND NOT EXISTS (SELECT FROM pg_policy o WHERE o.polrelid = p.table_id AND o.polname = '!pg_tenancy_isolation')
    LOOP
        EXECUTE format('CREATE POLICY "!pg_tenancy_isolation" ON %s AS RESTRICTIVE USING (false)', relation);
        RAISE WARNING 'table %: its tenant column is gone, so nobody reaches its rows', relation USING
            HINT = 'Call tenancy.protect_table() with another column, or tenancy.unprotect_table().';
    END LOOP;
    PERFORM tenancy.forget_metered(ARRAY(SELECT d.objid FROM pg_event_trigger_dropped_objects() d WHERE d.classid = 'pg_class'::regclass));
EXCEPTION WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
    -- Tried again, it finds its locks free.
    RAISE;
WHEN OTHERS THEN
    RAISE WARNING 'pg_tenancy could not look after what was dropped: %', SQLERRM;
END
$$;
REVOKE ALL ON FUNCTION tenancy.look_after_dropped() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.look_after_dropped() IS 'Event trigger function: forgets dropped tables, and closes protected ones whose tenant column is dropped';

CREATE EVENT TRIGGER pg_tenancy_cover ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE SCHEMA', 'ALTER SCHEMA', 'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE')
    EXECUTE FUNCTION tenancy.cover_descendants();
COMMENT ON EVENT TRIGGER pg_tenancy_cover IS 'Protects partitions and children that appear below protected tables';

CREATE EVENT TRIGGER pg_tenancy_dropped ON sql_drop EXECUTE FUNCTION tenancy.look_after_dropped();
COMMENT ON EVENT TRIGGER pg_tenancy_dropped IS 'Forgets dropped tables, and closes protected ones whose tenant column is dropped';
