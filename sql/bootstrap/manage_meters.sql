-- Meters: what is counted. By write operators and administrators; plain DML meets the same rules (usage_policies.sql).

CREATE FUNCTION tenancy.check_usage_editor() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT tenancy.is_administrator() AND tenancy.operator_access() IS DISTINCT FROM 'write' THEN
        RAISE EXCEPTION 'permission denied to change meters, plans and quotas' USING ERRCODE = '42501',
            HINT = 'Operators with access "write" and administrators may.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_usage_editor() IS 'Internal: 42501 unless the caller administers or is an operator with write access';

CREATE FUNCTION tenancy.find_meter(meter text) RETURNS tenancy.meters
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_meter tenancy.meters;
BEGIN
    SELECT * INTO found_meter FROM tenancy.meters m WHERE m.name = find_meter.meter;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'meter "%" does not exist', meter USING ERRCODE = '42704',
            HINT = 'SELECT name FROM tenancy.meters lists them; tenancy.create_meter() makes one.';
    END IF;
    RETURN found_meter;
END
$$;
COMMENT ON FUNCTION tenancy.find_meter(text) IS 'Internal: the meter of that name; 42704 if there is none';

CREATE FUNCTION tenancy.check_period(period text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF period IS NULL OR period NOT IN ('none', 'hour', 'day', 'month') THEN
        RAISE EXCEPTION 'invalid period' USING ERRCODE = '22023', HINT = 'Use hour, day, month or none.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_period(text) IS 'Internal: 22023 for what is no period';

CREATE FUNCTION tenancy.create_meter(name text, unit text, kind text, description text DEFAULT '', period text DEFAULT 'day') RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_usage_editor();
    IF name IS NULL OR name COLLATE "C" !~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$' OR length(name) > 100 THEN
        RAISE EXCEPTION 'invalid meter name' USING ERRCODE = '22023',
            DETAIL = 'A name is 1 to 100 characters: parts of a-z, 0-9 and _, each starting with a letter, as in api.calls.';
    END IF;
    IF unit IS NULL OR unit COLLATE "C" !~ '^[a-z][a-z0-9_/]*$' OR length(unit) > 40 THEN
        RAISE EXCEPTION 'invalid unit' USING ERRCODE = '22023',
            DETAIL = 'A unit is 1 to 40 characters of a-z, 0-9, _ and /, as in calls, bytes, mb/s.';
    END IF;
    IF kind IS NULL OR kind NOT IN ('counter', 'gauge') THEN
        RAISE EXCEPTION 'invalid kind of meter' USING ERRCODE = '22023',
            HINT = 'Use counter for what adds up, gauge for a present amount.';
    END IF;
    PERFORM tenancy.check_period(period);
    IF description IS NULL THEN
        RAISE EXCEPTION 'description must not be null' USING ERRCODE = '22023';
    END IF;
    INSERT INTO tenancy.meters (name, unit, kind, period, description)
    VALUES (create_meter.name, create_meter.unit, create_meter.kind, create_meter.period, create_meter.description)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'meter "%" already exists', name USING ERRCODE = '42710',
            HINT = 'tenancy.alter_meter() changes its description and period.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.create_meter(text, text, text, text, text) IS 'Creates a meter: a counter, which adds up, or a gauge, which tells a present amount, with history by hour, day, month (UTC) or none. Errors: 42501 neither administrator nor write operator; 22023 bad argument; 42710 exists';

CREATE FUNCTION tenancy.alter_meter(name text, description text DEFAULT NULL, period text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was tenancy.meters;
BEGIN
    PERFORM tenancy.check_usage_editor();
    was := tenancy.find_meter(name);
    IF period IS NOT NULL THEN
        PERFORM tenancy.check_period(period);
    END IF;
    UPDATE tenancy.meters m
       SET description = coalesce(alter_meter.description, m.description), period = coalesce(alter_meter.period, m.period)
     WHERE m.name = was.name
       AND (m.description <> coalesce(alter_meter.description, m.description) OR m.period <> coalesce(alter_meter.period, m.period));
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.alter_meter(text, text, text) IS 'Changes a meter''s description, and its period while it has no history; NULL leaves as it is. Returns whether anything changed. Errors: 42501 neither administrator nor write operator; 42704 no such meter; 22023 bad period; 2BP01 it has history';

CREATE FUNCTION tenancy.drop_meter(name text, cascade boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_meter tenancy.meters;
    tenants bigint;
    limits bigint;
    plans bigint;
    fed text;
BEGIN
    PERFORM tenancy.check_usage_editor();
    old_meter := tenancy.find_meter(name);
    IF cascade IS NOT TRUE THEN
        SELECT count(DISTINCT u.tenant_id) INTO tenants
          FROM (SELECT s.tenant_id FROM tenancy.usage s WHERE s.meter = old_meter.name
                UNION ALL SELECT p.tenant_id FROM tenancy.usage_periods p WHERE p.meter = old_meter.name) u;
        SELECT count(*) INTO limits FROM tenancy.quotas q WHERE q.meter = old_meter.name;
        SELECT count(DISTINCT q.plan) INTO plans FROM tenancy.plan_quotas q WHERE q.meter = old_meter.name;
        IF tenants + limits + plans > 0 THEN
            RAISE EXCEPTION 'meter "%" is in use', name USING ERRCODE = '2BP01',
                DETAIL = format('It has usage of %s tenant(s), %s quota(s), and limits in %s plan(s).', tenants, limits, plans),
                HINT = 'Pass cascade => true to drop them too: what was used is then forgotten.';
        END IF;
    END IF;
    BEGIN
        DELETE FROM tenancy.meters m WHERE m.name = old_meter.name;
    EXCEPTION WHEN foreign_key_violation THEN
        -- Which tables these are is told to administrators, who alone can read it.
        IF tenancy.is_administrator() THEN
            SELECT string_agg(t.root::text, ', ' ORDER BY t.root::text COLLATE "C") INTO fed
              FROM (SELECT DISTINCT f.root_id AS root FROM tenancy.metered_tables f WHERE f.meter = old_meter.name) t;
        END IF;
        RAISE EXCEPTION 'meter "%" counts rows of tables', name USING ERRCODE = '2BP01',
            DETAIL = coalesce('Tables: ' || fed || '.', ''), HINT = 'tenancy.unmeter_table() ends that.';
    END;
END
$$;
COMMENT ON FUNCTION tenancy.drop_meter(text, boolean) IS 'Drops a meter; with cascade also what was used of it, and its limits. Errors: 42501 neither administrator nor write operator; 42704 no such meter; 2BP01 it has usage or limits, or counts rows of tables';

CREATE FUNCTION tenancy.prune_usage(before timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    pruned bigint;
BEGIN
    PERFORM tenancy.check_usage_editor();
    IF before IS NULL OR NOT isfinite(before) OR before > statement_timestamp() THEN
        RAISE EXCEPTION 'before must be a time in the past' USING ERRCODE = '22023',
            DETAIL = 'History of periods that began before it is forgotten.';
    END IF;
    DELETE FROM tenancy.usage_periods u WHERE u.period_start < before;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END
$$;
COMMENT ON FUNCTION tenancy.prune_usage(timestamptz) IS 'Forgets the history of periods that began before; totals and present amounts stay. Returns how many rows there were. Errors: 42501 neither administrator nor write operator; 22023 NULL, infinite or in the future';
