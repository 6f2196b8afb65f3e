-- Included: does it, checks it, and ends the transaction.
SELECT current_setting('migration.only') = 'check' AS only_check \gset
\if :only_check
\else
    \ir apply.sql
\endif
\ir check.sql
\if :only_check
    ROLLBACK;
\elif :dry_run
    ROLLBACK;
    DO $$ BEGIN RAISE NOTICE 'dry run: nothing was kept'; END $$;
\else
    COMMIT;
\endif
