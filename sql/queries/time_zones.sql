-- The names that applications elsewhere know as well: not the directories and files that systems add.
SELECT name FROM pg_catalog.pg_timezone_names
 WHERE name !~ '^(posix/|right/|(posixrules|localtime|Factory)$)'
