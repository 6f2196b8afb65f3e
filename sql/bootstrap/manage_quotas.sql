-- Quotas: what one tenant may use, instead of what its plan says. By write operators and administrators; plain DML meets the
-- same rules (usage_policies.sql, and constraints).

-- What follows refers to it: who drops it is waited for.
CREATE FUNCTION tenancy.check_usage_tenant(tenant uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM tenancy.tenants t WHERE t.id = tenant FOR KEY SHARE;
    IF NOT EXISTS (SELECT FROM tenancy.tenants t WHERE t.id = tenant) THEN
        RAISE EXCEPTION 'tenant does not exist' USING ERRCODE = '42704', HINT = 'SELECT id, slug FROM tenancy.tenants lists them.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_usage_tenant(uuid) IS 'Internal: 42704 if there is no such tenant; nobody drops it until the transaction ends';

-- The period that is meant, after a look at the rest.
CREATE FUNCTION tenancy.check_limits(meter text, soft bigint, hard bigint, period text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    limited tenancy.meters := tenancy.keep_meter(meter);
BEGIN
    IF period IS NULL THEN
        period := CASE limited.kind WHEN 'gauge' THEN 'none' ELSE 'month' END;
    END IF;
    PERFORM tenancy.check_period(period);
    IF limited.kind = 'gauge' AND period <> 'none' THEN
        RAISE EXCEPTION 'a gauge is limited at any time, not by period' USING ERRCODE = '22023',
            DETAIL = format('Meter "%s" is a gauge.', meter), HINT = 'Use period none.';
    END IF;
    IF soft < 0 OR hard < 0 THEN
        RAISE EXCEPTION 'a limit must not be negative' USING ERRCODE = '22023',
            HINT = 'NULL is no limit, 0 lets nothing through.';
    END IF;
    IF soft > hard THEN
        RAISE EXCEPTION 'the soft limit must not be greater than the hard one' USING ERRCODE = '22023',
            DETAIL = format('soft is %s, hard is %s.', soft, hard);
    END IF;
    RETURN period;
END
$$;
COMMENT ON FUNCTION tenancy.check_limits(text, bigint, bigint, text) IS 'Internal: the period of a limit, by default none for gauges and month for counters; 42704 no such meter; 22023 bad limits or period';

CREATE FUNCTION tenancy.check_not_past(expires_at timestamptz, remedy text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF expires_at <= now() THEN
        RAISE EXCEPTION 'expires_at lies in the past' USING ERRCODE = '22023', HINT = remedy;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_not_past(timestamptz, text) IS 'Internal: 22023 for an end in the past';

CREATE FUNCTION tenancy.set_quota(tenant uuid, meter text, soft bigint DEFAULT NULL, hard bigint DEFAULT NULL, period text DEFAULT NULL,
        expires_at timestamptz DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_usage_editor();
    PERFORM tenancy.check_usage_tenant(tenant);
    period := tenancy.check_limits(meter, soft, hard, period);
    PERFORM tenancy.check_not_past(expires_at, 'Use tenancy.drop_quota() to end the exception now.');
    INSERT INTO tenancy.quotas AS q (tenant_id, meter, period, soft, hard, expires_at)
    VALUES (set_quota.tenant, set_quota.meter, set_quota.period, set_quota.soft, set_quota.hard, set_quota.expires_at)
    ON CONFLICT ON CONSTRAINT quotas_pkey DO UPDATE
       SET soft = excluded.soft, hard = excluded.hard, expires_at = excluded.expires_at
     WHERE (q.soft, q.hard, q.expires_at) IS DISTINCT FROM (excluded.soft, excluded.hard, excluded.expires_at);
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.set_quota(uuid, text, bigint, bigint, text, timestamptz) IS 'Limits one tenant, whatever its plan says of the meter and period, until expires_at if given: beyond soft it is told, beyond hard nothing is let through; both NULL: no limit. Setting again replaces all three. Returns whether anything changed. Errors: 42501 neither administrator nor write operator; 42704 no such tenant or meter; 22023 bad limits, period or end; 22003 beyond bigint';

CREATE FUNCTION tenancy.drop_quota(tenant uuid, meter text, period text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_usage_editor();
    PERFORM tenancy.check_usage_tenant(tenant);
    PERFORM tenancy.find_meter(meter);
    IF period IS NOT NULL THEN
        PERFORM tenancy.check_period(period);
    END IF;
    DELETE FROM tenancy.quotas q
     WHERE q.tenant_id = drop_quota.tenant AND q.meter = drop_quota.meter AND q.period = coalesce(drop_quota.period, q.period);
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.drop_quota(uuid, text, text) IS 'Ends a tenant''s exception, of one period or all: its plan decides again. Returns whether there was one. Errors: 42501 neither administrator nor write operator; 42704 no such tenant or meter; 22023 bad period';
