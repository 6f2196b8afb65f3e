-- One check as each of 5,000 users, and then a connection that stays idle.
SELECT bench.warm(10000, 14999);
\sleep 600 s
