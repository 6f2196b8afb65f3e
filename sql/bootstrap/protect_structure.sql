-- The steps that make the tenant column sound: column, rows, default, NOT NULL, foreign key, index, and the
-- trigger that keeps a row in its tenant. A step is a statement, the phase it belongs to (steps run in the
-- order of their phases), and what unprotect_table must know of it. Nothing is a step that is done already.

CREATE FUNCTION tenancy.keep_tenant() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('tenancy.allow_tenant_change')::boolean AND tenancy.is_administrator() THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a row of table "%" cannot move to another tenant', TG_TABLE_NAME USING
        ERRCODE = '23514', CONSTRAINT = 'immutable_tenant', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
        HINT = 'An administrator may after SET LOCAL tenancy.allow_tenant_change = on.';
END
$$;
COMMENT ON FUNCTION tenancy.keep_tenant() IS 'Trigger function: on protected tables, refuses to change the tenant of a row';

CREATE FUNCTION tenancy.tenant_trigger(relation regclass, tenant_column text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN format('CREATE TRIGGER "~pg_tenancy_keep_tenant" BEFORE UPDATE ON %1$s FOR EACH ROW'
                  ' WHEN ((old.%2$I IS DISTINCT FROM new.%2$I)) EXECUTE FUNCTION tenancy.keep_tenant()',
                  relation, tenant_column);
COMMENT ON FUNCTION tenancy.tenant_trigger(regclass, text) IS 'Administrators only: the definition of the trigger that keeps the tenant, as Postgres writes it. Its name sorts last, so that no other trigger changes the tenant after it looked';

-- place: root, partition (gets constraints, indexes and triggers from its parent) or child (does not).
CREATE FUNCTION tenancy.protect_structure(relation regclass, place text, root regclass, options jsonb, backfill text)
    RETURNS TABLE (phase integer, statement text, undo jsonb)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant_column text := options ->> 'tenant_column';
    missing boolean := tenancy.column_number(relation, tenant_column) IS NULL;
    current_default text := tenancy.column_default(relation, tenant_column);
    old_column text;
    key record;
    new_name name;
BEGIN
    IF missing AND place = 'root' THEN
        -- A constant default fills the rows there are without rewriting them or firing triggers.
        RETURN QUERY SELECT 40, format('ALTER TABLE %s ADD COLUMN %I uuid', relation, tenant_column)
            || coalesce(format(' DEFAULT %L::uuid', backfill), ''), '{"column": true}'::jsonb;
    END IF;
    IF place = 'root' AND backfill IS NOT NULL AND EXISTS (
        SELECT FROM tenancy.covered_relations(root) r
         WHERE tenancy.column_number(r.relation, tenant_column) IS NOT NULL
           AND NOT tenancy.column_is_filled(r.relation, tenant_column)
    ) THEN
        RETURN QUERY SELECT 50, format('UPDATE %1$s SET %2$I = %3$L::uuid WHERE %2$I IS NULL', relation, tenant_column, backfill), NULL::jsonb;
    END IF;

    SELECT p.options ->> 'tenant_column' INTO old_column FROM tenancy.protected_tables p
     WHERE p.table_id = relation AND p.options ->> 'tenant_column' <> tenant_column AND p.undo ? 'default';
    IF tenancy.column_default(relation, old_column) = 'tenancy.current_tenant_id()' THEN
        RETURN QUERY SELECT 60, format('ALTER TABLE ONLY %s ALTER COLUMN %I DROP DEFAULT', relation, old_column), NULL::jsonb;
    END IF;
    IF current_default IS NULL THEN
        RETURN QUERY SELECT 60, format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT tenancy.current_tenant_id()', relation, tenant_column),
                            '{"default": true}'::jsonb;
    END IF;

    IF NOT tenancy.column_is_filled(relation, tenant_column) THEN
        -- The root's reaches its descendants.
        RETURN QUERY SELECT 70, CASE WHEN relation = root OR tenancy.column_is_filled(root, tenant_column)
                                     THEN format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', relation, tenant_column) END,
                            '{"not_null": true}'::jsonb;
    END IF;

    IF place = 'partition' THEN
        IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = '~pg_tenancy_keep_tenant'
                                              AND t.tgparentid <> 0 AND t.tgenabled NOT IN ('O', 'A')) THEN
            RETURN QUERY SELECT 110, format('ALTER TABLE %s ENABLE TRIGGER "~pg_tenancy_keep_tenant"', relation), NULL::jsonb;
        END IF;
        RETURN;
    END IF;

    SELECT k.name, k.valid INTO key FROM tenancy.tenant_foreign_key(relation, tenant_column) k;
    IF NOT FOUND THEN
        new_name := tenancy.unused_name(relation, ARRAY[tenant_column], 'fkey');
        RETURN QUERY SELECT 80, format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES tenancy.tenants (id)',
                                       relation, new_name, tenant_column),
                            jsonb_build_object('foreign_key', new_name);
    ELSIF NOT key.valid THEN
        RETURN QUERY SELECT 80, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', relation, key.name), NULL::jsonb;
    END IF;

    IF NOT tenancy.has_tenant_index(relation, tenant_column) THEN
        new_name := tenancy.unused_name(relation, ARRAY[tenant_column], 'idx');
        RETURN QUERY SELECT 90, format('CREATE INDEX %I ON %s (%I)', new_name, relation, tenant_column),
                            jsonb_build_object('index', new_name);
    END IF;

    IF NOT EXISTS (SELECT FROM pg_trigger t
                    WHERE t.tgrelid = relation AND t.tgname = '~pg_tenancy_keep_tenant' AND t.tgenabled IN ('O', 'A')
                      AND pg_get_triggerdef(t.oid) = tenancy.tenant_trigger(relation, tenant_column)) THEN
        IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = '~pg_tenancy_keep_tenant') THEN
            RETURN QUERY SELECT 110, format('DROP TRIGGER "~pg_tenancy_keep_tenant" ON %s', relation), NULL::jsonb;
        END IF;
        RETURN QUERY SELECT 110, tenancy.tenant_trigger(relation, tenant_column), NULL::jsonb;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protect_structure(regclass, text, regclass, jsonb, text) IS 'Administrators only: the steps still missing on the tenant column of one covered relation';
