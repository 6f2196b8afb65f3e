-- What others do while a table is put under tenancy in stages: six of ten read a row, three change one, one inserts.
\set id random(1, :rows)
\set what random(1, 10)
\if :what <= 6
SELECT title FROM bench.staged WHERE id = :id;
\elif :what <= 9
UPDATE bench.staged SET amount = amount + 1 WHERE id = :id;
\else
SELECT bench.staged_insert(1 + :id % 1000);
\endif
