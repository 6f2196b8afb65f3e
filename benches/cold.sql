-- First checks of users in a backend that has answered for others. cache_stats() must count one load for each, or what
-- was timed was no load. The partner is what plpgsql does with a static SELECT of one row by its key.
CREATE FUNCTION bench.cold_users(turns int, per_turn int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ours float8[] := '{}';
    other float8[] := '{}';
    a interval;
    b interval;
    start timestamptz;
    who record;
    granted boolean;
    found_status text;
    loads bigint;
BEGIN
    FOR turn IN 0..turns LOOP
        a := '0';
        b := '0';
        -- Users of turns before are never asked about again: 30000 is the first.
        SELECT s.loads INTO loads FROM tenancy.cache_stats() s;
        FOR who IN SELECT u.id, u.u, t.id AS tenant, t.t FROM bench.users u JOIN bench.tenants t ON t.t = lower(u.tenants)
                    WHERE u.u BETWEEN 30000 + turn * per_turn AND 29999 + (turn + 1) * per_turn LOOP
            PERFORM set_config('request.jwt.claims', bench.token(who.u, who.t), true);
            IF turn % 2 = 1 THEN
                start := clock_timestamp();
                SELECT m.status INTO found_status FROM tenancy.members m WHERE m.tenant_id = who.tenant AND m.user_id = who.id;
                b := b + (clock_timestamp() - start);
            END IF;
            start := clock_timestamp();
            granted := tenancy.has_permission(who.tenant, 'cold.p20');
            a := a + (clock_timestamp() - start);
            IF turn % 2 = 0 THEN
                start := clock_timestamp();
                SELECT m.status INTO found_status FROM tenancy.members m WHERE m.tenant_id = who.tenant AND m.user_id = who.id;
                b := b + (clock_timestamp() - start);
            END IF;
            ASSERT granted AND found_status = 'active';
        END LOOP;
        ASSERT (SELECT s.loads FROM tenancy.cache_stats() s) = loads + per_turn, 'not one load for each user';
        CONTINUE WHEN turn = 0;
        ours := ours || extract(epoch FROM a) * 1000 / per_turn;
        other := other || extract(epoch FROM b) * 1000 / per_turn;
    END LOOP;
    RETURN bench.summary(ours, other);
END
$$;

-- Ten users with 10,000 tenants each, after one who does not count: ms of the first check, and MB it added to the cache.
CREATE FUNCTION bench.cold_users_10k(OUT ms float8, OUT mb float8) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz;
    granted boolean;
    earlier record;
    later record;
BEGIN
    PERFORM bench.warm(1, 1);
    FOR who IN 21..30 LOOP
        PERFORM set_config('request.jwt.claims', bench.token(who, NULL), true);
        SELECT * INTO earlier FROM tenancy.cache_stats();
        start := clock_timestamp();
        granted := tenancy.has_permission(bench.tenant_id(5000), 'docs.read');
        ms := extract(epoch FROM clock_timestamp() - start) * 1000;
        SELECT * INTO later FROM tenancy.cache_stats();
        ASSERT granted AND later.loads = earlier.loads + 1;
        mb := (later.bytes - earlier.bytes) / 1048576.0;
        RETURN NEXT;
    END LOOP;
END
$$;
