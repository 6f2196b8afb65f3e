//! PgBouncer in transaction mode, with one server connection for all clients.

use crate::guardian::Guardian;
use crate::{Cluster, Session, eventually, required};
use std::path::PathBuf;

pub struct PgBouncer {
    dir: PathBuf,
    _guardian: Guardian,
}

impl PgBouncer {
    /// Anybody may come in as `authenticator`, which is how PostgREST logs in.
    pub fn start(cluster: &Cluster) -> Self {
        Self::start_for(cluster, &["authenticator"])
    }

    /// Anybody may come in as one of these; each has one server connection to a database.
    pub fn start_for(cluster: &Cluster, users: &[&str]) -> Self {
        let dir = cluster.host().join("pgbouncer");
        std::fs::create_dir(&dir).expect("one PgBouncer a cluster");
        let settings = format!(
            "[databases]\n* = host={host} port=5432\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n\
             unix_socket_dir = {dir}\nauth_type = trust\nauth_file = {dir}/users\npidfile = {dir}/pgbouncer.pid\n\
             logfile = {dir}/log\npool_mode = transaction\ndefault_pool_size = 1\nmax_client_conn = 50\n",
            host = cluster.host().display(),
            dir = dir.display(),
        );
        std::fs::write(dir.join("settings"), settings).expect("the directory is ours");
        let list: String = users.iter().map(|user| format!("\"{user}\" \"\"\n")).collect();
        std::fs::write(dir.join("users"), list).expect("the directory is ours");
        let script = r#""$1" -q "$2" & cat; kill $!; wait"#;
        let program = required("PGT_PGBOUNCER");
        let guardian = Guardian::watch(script, &[program.as_os_str(), dir.join("settings").as_os_str()]);
        let bouncer = Self { dir, _guardian: guardian };
        eventually("PgBouncer listens", || bouncer.try_connect("postgres", users[0]).is_ok());
        bouncer
    }

    /// Where its socket lies, on port 6432.
    pub fn host(&self) -> &std::path::Path {
        &self.dir
    }

    pub fn connect(&self, database: &str) -> Session {
        self.connect_as(database, "authenticator")
    }

    pub fn connect_as(&self, database: &str, user: &str) -> Session {
        self.try_connect(database, user).expect("PgBouncer lets its users in")
    }

    fn try_connect(&self, database: &str, user: &str) -> Result<Session, postgres::Error> {
        Session::open(&self.dir, 6432, database, user, "")
    }
}
