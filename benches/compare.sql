-- Two things timed in turns: now one goes first, now the other. The first turn warms and is not counted.

-- Runs the query a number of times, each planned anew, after a set-up that is not timed; ms is for one run.
CREATE FUNCTION bench.timed(setup text, query text, runs int, OUT ms float8, OUT answer numeric) LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz;
BEGIN
    EXECUTE setup;
    start := clock_timestamp();
    IF query LIKE 'SELECT%' THEN
        FOR run IN 1..runs LOOP
            EXECUTE query INTO answer;
        END LOOP;
    ELSE
        EXECUTE query;
        GET DIAGNOSTICS answer = ROW_COUNT;
    END IF;
    ms := extract(epoch FROM clock_timestamp() - start) * 1000 / runs;
    RESET ROLE;
END
$$;

-- What all rows of the benchmark end in: medians of both, of the turns' ratios, of the figure that the bar is for
-- (the ratio, if nothing else is given), and that figure's quartiles.
CREATE FUNCTION bench.summary(ours float8[], other float8[], figures float8[] DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s|%s|%s|%s|%s|%s', percentile_cont(0.5) WITHIN GROUP (ORDER BY a), percentile_cont(0.5) WITHIN GROUP (ORDER BY b),
                  percentile_cont(0.5) WITHIN GROUP (ORDER BY a / b), percentile_cont(0.5) WITHIN GROUP (ORDER BY f),
                  percentile_cont(0.25) WITHIN GROUP (ORDER BY f), percentile_cont(0.75) WITHIN GROUP (ORDER BY f))
      FROM (SELECT a, b, coalesce(f, a / b) AS f FROM unnest(ours, other, figures) AS turn (a, b, f)) AS turns
$$;

-- Turns end early when they took more than that many seconds, but not before the third. Both must give the same
-- answer, and not an empty one, or they did not do the same work. With rows, the figure is the difference in ns per row.
CREATE FUNCTION bench.compare(ours_setup text, ours_query text, other_setup text, other_query text,
                              turns int, seconds float8, runs int DEFAULT 1, rows int DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ours float8[] := '{}';
    other float8[] := '{}';
    figures float8[];
    start timestamptz := clock_timestamp();
    a record;
    b record;
BEGIN
    FOR turn IN 0..turns LOOP
        IF turn % 2 = 0 THEN
            a := bench.timed(ours_setup, ours_query, runs);
            b := bench.timed(other_setup, other_query, runs);
        ELSE
            b := bench.timed(other_setup, other_query, runs);
            a := bench.timed(ours_setup, ours_query, runs);
        END IF;
        IF a.answer IS DISTINCT FROM b.answer OR coalesce(a.answer, 0) = 0 THEN
            RAISE EXCEPTION 'ours answers %, the other %', a.answer, b.answer
                USING DETAIL = format(E'%s\n%s', ours_query, left(other_query, 500));
        END IF;
        CONTINUE WHEN turn = 0;
        ours := ours || a.ms;
        other := other || b.ms;
        figures := figures || (a.ms - b.ms) * 1000000 / rows;
        EXIT WHEN turn >= 3 AND clock_timestamp() - start > make_interval(secs => seconds);
    END LOOP;
    RETURN bench.summary(ours, other, CASE WHEN rows IS NOT NULL THEN figures END);
END
$$;

CREATE FUNCTION bench.plan(setup text, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE setup;
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
    RESET ROLE;
END
$$;

-- Kinds of nodes and names of indexes, from the top.
CREATE FUNCTION bench.plan_shape(setup text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE setup;
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RESET ROLE;
    RETURN (SELECT string_agg(node[1], ', ') FROM regexp_matches(plan::text, '"(?:Node Type|Index Name)": "([^"]*)"', 'g') node);
END
$$;

-- Parsing and rewriting (PREPARE), which is where policies come in, and planning, as EXPLAIN reports it.
CREATE FUNCTION bench.planning_ms(setup text, query text, runs int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz;
    ms float8 := 0;
    plan json;
BEGIN
    EXECUTE setup;
    FOR run IN 1..runs LOOP
        start := clock_timestamp();
        EXECUTE 'PREPARE planned AS ' || query;
        ms := ms + extract(epoch FROM clock_timestamp() - start) * 1000;
        DEALLOCATE planned;
        EXECUTE 'EXPLAIN (SUMMARY, FORMAT JSON) ' || query INTO plan;
        ms := ms + (plan -> 0 ->> 'Planning Time')::float8;
    END LOOP;
    RESET ROLE;
    RETURN ms / runs;
END
$$;

CREATE FUNCTION bench.compare_planning(ours_setup text, ours_query text, other_setup text, other_query text, turns int, runs int)
    RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ours float8[] := '{}';
    other float8[] := '{}';
    a float8;
    b float8;
BEGIN
    FOR turn IN 0..turns LOOP
        IF turn % 2 = 0 THEN
            a := bench.planning_ms(ours_setup, ours_query, runs);
            b := bench.planning_ms(other_setup, other_query, runs);
        ELSE
            b := bench.planning_ms(other_setup, other_query, runs);
            a := bench.planning_ms(ours_setup, ours_query, runs);
        END IF;
        CONTINUE WHEN turn = 0;
        ours := ours || a;
        other := other || b;
    END LOOP;
    RETURN bench.summary(ours, other);
END
$$;
