-- Times two queries in turns, ours as an identified user of role authenticated, the other as superuser without
-- row security, each planned anew; the first turn warms and is not counted.
CREATE FUNCTION bench.compare(ours_query text, other_query text, turns int, OUT ours numeric, OUT other numeric, OUT spread text)
    LANGUAGE plpgsql AS $$
DECLARE
    ours_ms numeric[] := '{}';
    other_ms numeric[] := '{}';
    ratios numeric[] := '{}';
    start timestamptz;
    n bigint;
    a numeric;
    b numeric;
BEGIN
    FOR turn IN 0..turns LOOP
        PERFORM tenancy.act_as('11111111-0000-4000-8000-000000000001');
        start := clock_timestamp();
        EXECUTE ours_query INTO n;
        a := extract(epoch FROM clock_timestamp() - start) * 1000;
        RESET ROLE;
        start := clock_timestamp();
        EXECUTE other_query INTO n;
        b := extract(epoch FROM clock_timestamp() - start) * 1000;
        IF turn > 0 THEN
            ours_ms := ours_ms || a;
            other_ms := other_ms || b;
            ratios := ratios || a / b;
        END IF;
    END LOOP;
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) INTO compare.ours FROM unnest(ours_ms) x;
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) INTO compare.other FROM unnest(other_ms) x;
    SELECT format('%s to %s', round(min(x), 2), round(max(x), 2)) INTO compare.spread FROM unnest(ratios) x;
END
$$;
