//! sqlx, through PgBouncer in transaction mode.

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Postgres, Transaction};

pub async fn pool(options: PgConnectOptions) -> sqlx::Result<PgPool> {
    // Prepared statements stay on a server connection, which is another client's next.
    PgPoolOptions::new().max_connections(5).connect_with(options.statement_cache_capacity(0)).await
}

/// Queries on it are the user's; dropped, it is rolled back.
pub async fn begin_as(
    pool: &PgPool,
    user: &str,
    tenant: Option<&str>,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT tenancy.set_identity($1, $2)")
        .bind(user)
        .bind(tenant)
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

pub async fn begin_with_claims(pool: &PgPool, claims: &str) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT set_config('request.jwt.claims', $1, true)")
        .bind(claims)
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}
