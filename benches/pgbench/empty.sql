-- A connection that did next to nothing.
SELECT 1;
\sleep 600 s
