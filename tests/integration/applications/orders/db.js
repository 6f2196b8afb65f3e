'use strict';

const { Pool } = require('pg');

// Host, database and user come from PGHOST and its like; the host is PgBouncer, in transaction mode.
module.exports = new Pool({ max: 5 });
