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

-- For what is about to refer to it: who drops it is waited for, and then it is there or it is not.
CREATE FUNCTION tenancy.keep_meter(meter text) RETURNS tenancy.meters
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM tenancy.meters m WHERE m.name = keep_meter.meter FOR KEY SHARE;
    RETURN tenancy.find_meter(meter);
END
$$;
COMMENT ON FUNCTION tenancy.keep_meter(text) IS 'Internal: the meter of that name, which nobody drops until the transaction ends; 42704 if there is none';

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
COMMENT ON FUNCTION tenancy.alter_meter(text, text, text) IS 'Changes a meter''s description, and its period while it has no history; NULL leaves as it is. A new period waits for whoever has recorded, of any meter, and holds up recording until it is committed. Returns whether anything changed. Errors: 42501 neither administrator nor write operator; 42704 no such meter; 22023 bad period; 2BP01 it has history, and be it of the present period; 0A000 a new period above READ COMMITTED';

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
    -- Before it is counted: who has recorded, or set a limit, and not committed is waited for, and nobody begins to.
    PERFORM FROM tenancy.meters m WHERE m.name = drop_meter.name FOR UPDATE;
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

-- Slots still hold what they were last written with. Of periods that began before, and are over, that becomes nothing; what
-- counts towards limits, in the present periods and ever, stays. What others are writing is passed over.
-- Nobody may miss a slot while he sums them, which he could if its new version went to another page: so where a page has no
-- room its slots are left for another time, unless the caller has locked the table. The period is the meter's own, unless given.
CREATE FUNCTION tenancy.empty_slots(before timestamptz, of_meter text DEFAULT NULL, period text DEFAULT NULL, locked boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today timestamptz := date_trunc('day', statement_timestamp(), 'UTC');
    month timestamptz := date_trunc('month', statement_timestamp(), 'UTC');
    emptied bigint;
    full_pages bigint[] := '{}';
    more_full bigint[];
BEGIN
    IF before IS NULL THEN
        RAISE EXCEPTION 'before must be given' USING ERRCODE = '22023';
    END IF;
    LOOP
        more_full := NULL;
        BEGIN
            WITH over AS (
                SELECT u.tenant_id, u.meter, u.slot, p.page
                  FROM tenancy.usage u
                  JOIN tenancy.meters m ON m.name = u.meter
                 CROSS JOIN LATERAL (SELECT coalesce(empty_slots.period, m.period), (u.ctid::text::point)[0]::bigint) p (period, page)
                 WHERE (of_meter IS NULL OR u.meter = of_meter)
                   AND date_trunc(nullif(p.period, 'none'), u.hour, 'UTC')
                       < least(before, date_trunc(nullif(p.period, 'none'), statement_timestamp(), 'UTC'))
                   AND CASE p.period WHEN 'hour' THEN u.hour_amount WHEN 'day' THEN u.day_amount ELSE u.month_amount END <> 0
                   AND p.page <> ALL (full_pages)
                   FOR NO KEY UPDATE OF u SKIP LOCKED
            ), written AS (
                UPDATE tenancy.usage u
                   SET hour_amount = 0,
                       day_amount = CASE WHEN u.hour >= today THEN u.day_amount ELSE 0 END,
                       month_amount = CASE WHEN u.hour >= month THEN u.month_amount ELSE 0 END
                  FROM over o
                 WHERE (u.tenant_id, u.meter, u.slot) = (o.tenant_id, o.meter, o.slot)
                RETURNING o.page AS old_page, (u.ctid::text::point)[0]::bigint AS new_page
            )
            SELECT count(*), array_agg(DISTINCT w.old_page) FILTER (WHERE w.old_page <> w.new_page) INTO emptied, more_full FROM written w;
            IF locked OR more_full IS NULL THEN
                RETURN emptied;
            END IF;
            RAISE EXCEPTION 'pages are full';
        EXCEPTION WHEN raise_exception THEN
            -- Undone; again without those, unless it was somebody else's exception.
            IF more_full IS NULL THEN
                RAISE;
            END IF;
            full_pages := full_pages || more_full;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.empty_slots(timestamptz, text, text, boolean) IS 'Administrators only: makes what slots hold of periods that are over, and began before, nothing. Returns how many slots that were';

-- Who may forget history may not write usage: these two do it for him. For administrators by BYPASSRLS:
CREATE FUNCTION tenancy.prune_slots(before timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT tenancy.caller_is_administrator() THEN
        RAISE EXCEPTION 'permission denied to change meters, plans and quotas' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    RETURN tenancy.empty_slots(before);
END
$$;
REVOKE ALL ON FUNCTION tenancy.prune_slots(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.prune_slots(timestamptz) IS 'For administrators: the part of prune_usage that is written as the tables'' owner. Errors: 42501 not an administrator; 22023 NULL';

-- For operators: the identity decides, never the database role.
CREATE FUNCTION tenancy.prune_slots_by_identity(before timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF tenancy.operator_access() IS DISTINCT FROM 'write' THEN
        RAISE EXCEPTION 'permission denied to change meters, plans and quotas' USING ERRCODE = '42501',
            HINT = 'Operators with access "write" and administrators may.';
    END IF;
    RETURN tenancy.empty_slots(before);
END
$$;
REVOKE ALL ON FUNCTION tenancy.prune_slots_by_identity(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.prune_slots_by_identity(timestamptz) IS 'Internal: prune_slots for operators';

CREATE FUNCTION tenancy.prune_usage(before timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    slots bigint;
    pruned bigint;
BEGIN
    PERFORM tenancy.check_usage_editor();
    IF before IS NULL OR NOT isfinite(before) OR before > statement_timestamp() THEN
        RAISE EXCEPTION 'before must be a time in the past' USING ERRCODE = '22023',
            DETAIL = 'History of periods that began before it is forgotten.';
    END IF;
    -- First the slots: what one leaves behind meanwhile is deleted then.
    IF pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = 'tenancy.usage'::regclass), 'USAGE') THEN
        slots := tenancy.empty_slots(before);
    ELSIF tenancy.is_administrator() THEN
        slots := tenancy.prune_slots(before);
    ELSE
        slots := tenancy.prune_slots_by_identity(before);
    END IF;
    DELETE FROM tenancy.usage_periods u WHERE u.period_start < before;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN slots + pruned;
END
$$;
COMMENT ON FUNCTION tenancy.prune_usage(timestamptz) IS 'Forgets the history of periods that began before and are over; totals and present amounts stay. What open transactions are recording to is left to the next call. Returns how many rows and slots there were. Errors: 42501 neither administrator nor write operator; 22023 NULL, infinite or in the future';
