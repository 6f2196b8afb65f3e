//! A Postgres of its own: unix socket only, in its own directory.

use crate::guardian::Guardian;
use crate::{Session, required};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Cluster {
    dir: PathBuf,
    _guardian: Guardian,
}

/// Speed over durability: what is tested is the death of processes, not of machines.
const SETTINGS: &str = "listen_addresses = ''
port = 5432
fsync = off
shared_buffers = 32MB
max_connections = 40
log_line_prefix = '%m [%p] %u@%d '
";

/// What every database has that a test asks for: the extension, two application roles as PostgREST knows them,
/// and the role it logs in as.
const TEMPLATE: &str = "CREATE EXTENSION pg_tenancy;
SELECT tenancy.enable_role('anon'), tenancy.enable_role('authenticated')";
const ROLES: &str = "CREATE ROLE anon NOLOGIN;
CREATE ROLE authenticated NOLOGIN;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated TO authenticator";

impl Cluster {
    /// Started with the library preloaded as set-up has it; databases come with the extension.
    pub fn start(name: &str, settings: &str) -> Self {
        let cluster =
            Self::start_bare(name, &format!("session_preload_libraries = 'pg_tenancy'\n{settings}"));
        cluster.connect("template1").run(TEMPLATE);
        cluster
    }

    /// Roles, and nothing of the extension.
    pub fn start_bare(name: &str, settings: &str) -> Self {
        let cluster = Self::at(name);
        cluster.succeed(
            cluster
                .program("initdb")
                .args([
                    "--username=postgres",
                    "--auth=trust",
                    "--encoding=UTF8",
                    "--no-locale",
                    "--no-sync",
                    "-D",
                ])
                .arg(cluster.data()),
        );
        cluster.configure(&format!("{SETTINGS}unix_socket_directories = '{}'", cluster.dir.display()));
        cluster.configure(settings);
        cluster.boot();
        cluster.connect("postgres").run(ROLES);
        cluster
    }

    /// A hot standby that streams from `primary`.
    pub fn standby_of(primary: &Cluster, name: &str) -> Self {
        let standby = Self::at(name);
        standby.succeed(
            primary
                .program("pg_basebackup")
                .args([
                    "--checkpoint=fast",
                    "--wal-method=stream",
                    "--write-recovery-conf",
                    "--no-sync",
                    "-D",
                ])
                .arg(standby.data()),
        );
        standby
            .configure(&format!("unix_socket_directories = '{}'\nhot_standby = on", standby.dir.display()));
        standby.boot();
        standby
    }

    fn at(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}.{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = required("PGT_SCRATCH").join(unique);
        std::fs::create_dir(&dir).expect("PGT_SCRATCH is writable");
        // The directory stays: whoever made PGT_SCRATCH removes it, and finds the server's log until then.
        let script = r#"cat; [ -e "$2/postmaster.pid" ] && "$1" -D "$2" -m immediate -w stop"#;
        let pg_ctl = required("PGT_BINDIR").join("pg_ctl");
        let guardian = Guardian::watch(script, &[pg_ctl.as_os_str(), dir.join("data").as_os_str()]);
        Self { dir, _guardian: guardian }
    }

    /// Adds lines to postgresql.conf, for the next start.
    pub fn configure(&self, settings: &str) {
        use std::io::Write;
        let path = self.data().join("postgresql.conf");
        let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("initdb made it");
        writeln!(file, "{settings}").expect("it is writable");
    }

    pub fn boot(&self) {
        self.succeed(self.pg_ctl().arg("-l").arg(self.dir.join("log")).arg("start"));
    }

    /// `mode` is fast or immediate: the latter leaves recovery to the next start.
    pub fn shut_down(&self, mode: &str) {
        self.succeed(self.pg_ctl().args(["-m", mode, "stop"]));
    }

    fn pg_ctl(&self) -> Command {
        let mut command = self.program("pg_ctl");
        command.args(["-w", "-s", "-D"]).arg(self.data());
        command
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Where the socket lies: what libpq calls the host.
    pub fn host(&self) -> &Path {
        &self.dir
    }

    /// A program of this Postgres, pointed at this cluster and its superuser.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(required("PGT_BINDIR").join(name));
        command.env("PGHOST", self.host()).env("PGPORT", "5432").env("PGUSER", "postgres");
        command
    }

    /// Runs a program that must succeed, and gives back what it printed.
    #[track_caller]
    pub fn succeed(&self, command: &mut Command) -> String {
        let output = command.output().expect("the program starts");
        if !output.status.success() {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            panic!(
                "{command:?} failed: {}\nThe server's log:\n{log}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        String::from_utf8(output.stdout).expect("output is text")
    }

    /// Runs a script by psql, which stops at the first error.
    #[track_caller]
    pub fn psql(&self, database: &str, arguments: &[&str]) -> String {
        let mut command = self.program("psql");
        self.succeed(
            command.args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", database]).args(arguments),
        )
    }

    /// Makes a database from the template and connects to it as superuser.
    #[track_caller]
    pub fn database(&self, name: &str) -> Session {
        self.connect("postgres").run(&format!("CREATE DATABASE {name}"));
        self.connect(name)
    }

    #[track_caller]
    pub fn connect(&self, database: &str) -> Session {
        self.connect_as(database, "postgres")
    }

    #[track_caller]
    pub fn connect_as(&self, database: &str, role: &str) -> Session {
        self.try_connect(database, role, "").unwrap_or_else(|error| panic!("{database} as {role}: {error:?}"))
    }

    /// `options` as in PGOPTIONS.
    pub fn try_connect(&self, database: &str, role: &str, options: &str) -> Result<Session, postgres::Error> {
        Session::open(self.host(), 5432, database, role, options)
    }
}
