//! sqlx 0.8, through PgBouncer 1.18 in transaction mode.

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Postgres, Transaction};

pub async fn pool(options: PgConnectOptions) -> sqlx::Result<PgPool> {
    // PgBouncer refuses the parameter, unless its ignore_startup_parameters says otherwise. Prepared statements stay on
    // a server connection, which is another client's next.
    let options = options.extra_float_digits(None).statement_cache_capacity(0);
    PgPoolOptions::new().max_connections(5).connect_with(options).await
}

async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = pool.begin().await?;
    // Without its cache sqlx names them still, as the last client on this server connection did.
    sqlx::raw_sql("DEALLOCATE ALL").execute(&mut *transaction).await?;
    Ok(transaction)
}

/// Queries on it are the user's; dropped, it is rolled back.
pub async fn begin_as(
    pool: &PgPool,
    user: &str,
    tenant: Option<&str>,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = begin(pool).await?;
    let statement = sqlx::query("SELECT tenancy.set_identity($1, $2)");
    statement.bind(user).bind(tenant).execute(&mut *transaction).await?;
    Ok(transaction)
}

pub async fn begin_with_claims(pool: &PgPool, claims: &str) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = begin(pool).await?;
    let statement = sqlx::query("SELECT set_config('request.jwt.claims', $1, true)");
    statement.bind(claims).execute(&mut *transaction).await?;
    Ok(transaction)
}
