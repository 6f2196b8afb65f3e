'use strict';

const { Pool } = require('pg');
const { scoped } = require('./tenancy');

// Host, database and user come from PGHOST and its like; the host is PgBouncer, in transaction mode.
module.exports = scoped(new Pool({ max: 5 }));
