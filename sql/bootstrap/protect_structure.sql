-- The steps that make the tenant column sound: column, rows, default, NOT NULL, foreign key, index, and the
-- trigger that keeps a row in its tenant. A step is a statement, the phase it belongs to (steps run in the
-- order of their phases), and what unprotect_table must know of it. Nothing is a step that is done already.

CREATE FUNCTION tenancy.keep_tenant() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'tenancy_keep_tenant';
COMMENT ON FUNCTION tenancy.keep_tenant() IS 'Trigger function: on protected tables, refuses to change the tenant of a row';

CREATE FUNCTION tenancy.trigger_names() RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN '{~pg_tenancy_copy_changed,~pg_tenancy_copy_tenant,~pg_tenancy_fill_tenant,~pg_tenancy_keep_tenant}'::text[];
COMMENT ON FUNCTION tenancy.trigger_names() IS 'Administrators only: every name that a trigger of ours has on protected tables. They sort last, so that no other trigger changes what they looked at, and in this order';

-- As Postgres writes them. The copying ones name the other table in their condition, where it is always true, for what
-- Postgres makes of it: a dependency, by which the trigger is found when that table is renamed, and goes with it.
-- A partitioned table's rows are its partitions', which have triggers of their own: those of the table Postgres would copy to
-- what is attached, and refuse to attach what has one of that name. It has one of statements, for the dependency alone.
-- A definition is executed with our rights, and so is never one that Postgres wrote down: what a table has its owner may have
-- made, and a constant of a type of his runs his code as soon as it is parsed. NULL: the trigger stays as it is.
CREATE FUNCTION tenancy.wanted_triggers(relation regclass, root regclass, options jsonb) RETURNS TABLE (name text, definition text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant_column text := options ->> 'tenant_column';
    reference text := options #>> '{backfill_from,column}';
    parent regclass := to_regclass(options #>> '{backfill_from,table}');
    copied text;
    copy_call text;
    -- Types without an operator of their own are written with a cast to one that has.
    compared text := CASE WHEN tenancy.column_type(root, reference)::text IN ('uuid', 'bigint', 'integer', 'text') THEN '%s' ELSE '(%s)::text' END;
    is_partitioned boolean := (SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = relation);
BEGIN
    IF NOT is_partitioned THEN
        name := '~pg_tenancy_keep_tenant';
        SELECT format('CREATE TRIGGER %I BEFORE UPDATE ON %s FOR EACH ROW WHEN ((%s IS DISTINCT FROM %s)) EXECUTE FUNCTION tenancy.keep_tenant()',
                      name, relation, format(t.argument, 'old.' || quote_ident(tenant_column)), format(t.argument, 'new.' || quote_ident(tenant_column)))
          INTO definition FROM tenancy.tenant_types() t WHERE t.type = tenancy.tenant_type(options);
        RETURN NEXT;
    END IF;
    IF parent IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        copied := tenancy.referenced_tenant(root, options, '($1)');
    EXCEPTION WHEN invalid_parameter_value OR null_value_not_allowed THEN
        -- What a foreign key or the other table's protection said nobody says any more: what is there stays.
        RETURN QUERY SELECT t.tgname::text, NULL::text FROM pg_trigger t
                      WHERE t.tgrelid = relation AND t.tgname = ANY (tenancy.trigger_names())
                        AND t.tgfoid = 'tenancy.copy_tenant()'::regprocedure;
        RETURN;
    END;
    SELECT format('EXECUTE FUNCTION tenancy.copy_tenant(%L, %L, %L, %L)', copied, tenant_column, reference, c.relname)
      INTO copy_call FROM pg_class c WHERE c.oid = parent;
    name := '~pg_tenancy_copy_tenant';
    IF is_partitioned THEN
        definition := format('CREATE TRIGGER %I BEFORE UPDATE OF %I ON %s FOR EACH STATEMENT WHEN ((%L::regclass IS NOT NULL)) %s',
                             name, reference, relation, parent, copy_call);
        RETURN NEXT;
        RETURN;
    END IF;
    definition := format('CREATE TRIGGER %I BEFORE INSERT ON %s FOR EACH ROW WHEN (((new.%I IS NOT NULL) AND (%L::regclass IS NOT NULL))) %s',
                         name, relation, reference, parent, copy_call);
    RETURN NEXT;
    name := '~pg_tenancy_copy_changed';
    definition := format('CREATE TRIGGER %I BEFORE UPDATE ON %s FOR EACH ROW WHEN (((new.%3$I IS NOT NULL)'
                         ' AND (%4$s IS DISTINCT FROM %5$s) AND (%6$L::regclass IS NOT NULL))) %7$s', name, relation, reference,
                         format(compared, 'old.' || quote_ident(reference)), format(compared, 'new.' || quote_ident(reference)), parent, copy_call);
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION tenancy.wanted_triggers(regclass, regclass, jsonb) IS 'Administrators only: the triggers for these options, on a table or child; definition is NULL for one that is there and stays as it is';

-- place: root, partition (gets constraints and indexes from its parent) or child (does not).
CREATE FUNCTION tenancy.protect_structure(relation regclass, place text, root regclass, options jsonb, backfill text)
    RETURNS TABLE (phase integer, statement text, undo jsonb)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant_column text := options ->> 'tenant_column';
    missing boolean := tenancy.column_number(relation, tenant_column) IS NULL;
    shared boolean := options ->> 'shared' IS NOT NULL;
    old record;
    key record;
    new_name name;
BEGIN
    SELECT p.options, p.undo INTO old FROM tenancy.protected_tables p WHERE p.table_id = relation;
    IF missing AND place = 'root' THEN
        -- A constant default fills the rows there are without rewriting them or firing triggers.
        RETURN QUERY SELECT 40, format('ALTER TABLE %s ADD COLUMN %I %s', relation, tenant_column, tenancy.tenant_type(options))
            || coalesce(' DEFAULT ' || substring(backfill FROM tenancy.constant_pattern()), ''), '{"column": true}'::jsonb;
    END IF;
    IF place = 'root' AND backfill IS NOT NULL AND NOT (missing AND backfill ~ tenancy.constant_pattern()) THEN
        RETURN QUERY SELECT 50, format('CALL tenancy.fill_tenants(%L, %L, %L, %L)', relation, tenant_column, backfill, shared), NULL::jsonb;
    END IF;

    IF old.options ->> 'tenant_column' <> tenant_column AND old.undo ? 'default'
       AND tenancy.column_default(relation, old.options ->> 'tenant_column') = tenancy.tenant_default(old.options) THEN
        RETURN QUERY SELECT 60, format('ALTER TABLE ONLY %s ALTER COLUMN %I DROP DEFAULT', relation, old.options ->> 'tenant_column'), NULL::jsonb;
    END IF;
    IF tenancy.column_default(relation, tenant_column) IS NULL THEN
        RETURN QUERY SELECT 60, format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT %s', relation, tenant_column, tenancy.tenant_default(options)),
                            '{"default": true}'::jsonb;
    END IF;

    -- The root's NOT NULL reaches its descendants, and so does its end.
    IF NOT shared AND NOT tenancy.column_is_filled(relation, tenant_column) THEN
        RETURN QUERY SELECT 70, CASE WHEN relation = root OR tenancy.column_is_filled(root, tenant_column)
                                     THEN format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', relation, tenant_column) END,
                            '{"not_null": true}'::jsonb;
    ELSIF shared AND old.undo ? 'not_null' AND old.options ->> 'tenant_column' = tenant_column THEN
        RETURN QUERY SELECT 70, CASE WHEN relation = root AND tenancy.column_is_filled(relation, tenant_column)
                                     THEN format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', relation, tenant_column) END,
                            '{"not_null": null}'::jsonb;
    END IF;

    RETURN QUERY
        WITH there AS (
            SELECT t.tgname::text AS name, t.tgenabled IN ('O', 'A') AS enabled,
                   w.name IS NOT NULL AND w.definition IS NULL AS stays, pg_get_triggerdef(t.oid) = w.definition AS as_wanted
              FROM pg_trigger t LEFT JOIN tenancy.wanted_triggers(relation, root, options) w ON w.name = t.tgname
             WHERE t.tgrelid = relation AND t.tgname = ANY (tenancy.trigger_names()) AND t.tgparentid = 0
        )
        SELECT 110, s.statement, NULL::jsonb
          FROM (SELECT 1, t.name, format('DROP TRIGGER %I ON %s', t.name, relation) FROM there t
                 WHERE NOT t.stays AND (t.enabled AND t.as_wanted) IS NOT TRUE
                UNION ALL
                SELECT 2, t.name, format('ALTER TABLE ONLY %s ENABLE TRIGGER %I', relation, t.name) FROM there t WHERE t.stays AND NOT t.enabled
                UNION ALL
                SELECT 3, w.name, w.definition FROM tenancy.wanted_triggers(relation, root, options) w
                 WHERE w.definition IS NOT NULL
                   AND NOT EXISTS (SELECT FROM there t WHERE t.name = w.name AND t.enabled AND t.as_wanted)) s (n, name, statement)
         ORDER BY s.n, s.name;

    IF place = 'partition' THEN
        RETURN;
    END IF;

    SELECT k.name, k.valid INTO key FROM tenancy.tenant_foreign_key(relation, tenant_column) k;
    IF NOT FOUND THEN
        new_name := tenancy.unused_name(relation, ARRAY[tenant_column], 'fkey');
        RETURN QUERY SELECT 80, format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES tenancy.tenants (%I)%s', relation, new_name, tenant_column,
                                       tenancy.tenant_reference(options),
                                       tenancy.tenant_key_actions(relation, tenant_column, tenancy.tenant_reference(options))),
                            jsonb_build_object('foreign_key', new_name);
    ELSIF NOT key.valid THEN
        RETURN QUERY SELECT 80, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', relation, key.name), NULL::jsonb;
    END IF;

    IF NOT tenancy.has_tenant_index(relation, tenant_column) THEN
        new_name := tenancy.unused_name(relation, ARRAY[tenant_column], 'idx');
        RETURN QUERY SELECT 90, format('CREATE INDEX %I ON %s (%I)', new_name, relation, tenant_column),
                            jsonb_build_object('index', new_name);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protect_structure(regclass, text, regclass, jsonb, text) IS 'Administrators only: the steps still missing on the tenant column of one covered relation; backfill is an expression, if there is anything to fill';
