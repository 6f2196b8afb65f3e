//! A Django project with bigint organisations and integer users, behind PgBouncer: first as it was, then with the
//! guide's set-up, migration and middleware, and not a line of its models, views or tests changed.

use pg_tenancy_integration::{
    Application, Attack, Browser, Cluster, Guide, PgBouncer, Server, Session, Steps, attack, files_below,
    source,
};
use serde_json::{Value, json};
use std::sync::{LazyLock, Mutex};

static CLUSTER: LazyLock<(Cluster, PgBouncer)> = LazyLock::new(|| {
    let cluster = Cluster::start_bare("django", &Guide::settings("django.md"));
    cluster
        .connect("postgres")
        .run("CREATE ROLE board_migrator LOGIN; CREATE ROLE board_app LOGIN; CREATE ROLE board_jobs LOGIN");
    let bouncer = PgBouncer::start_for(&cluster, &["board_app", "board_jobs", "postgres"]);
    (cluster, bouncer)
});

const SECRET: &str = "bee secret";

/// By Ann of Ant, organisation 1, on Bee, organisation 2.
const ATTACKS: &[Attack] = &[
    ("GET", "/projects", "", 200, 200),
    ("GET", "/projects/2", "", 200, 404),
    ("GET", "/tasks/3", "", 200, 404),
    ("GET", "/tasks?q=bee", "", 200, 200),
    ("GET", "/report", "", 200, 200),
    ("GET", "/export", "", 200, 200),
    ("POST", "/organisations/2/switch", "", 404, 404),
    ("PATCH", "/tasks/4", r#"{"points": 99}"#, 204, 404),
    ("POST", "/tasks/4/claim", "", 204, 404),
    ("PATCH", "/projects/2", r#"{"name": "stolen"}"#, 200, 404),
    // Into the other organisation: refused by name, or as a row that cannot be Ann's.
    ("POST", "/projects", r#"{"name": "planted", "organisation": 2}"#, 201, 403),
    ("POST", "/tasks", r#"{"title": "planted", "project": 2}"#, 201, 500),
    ("POST", "/tasks/import", r#"{"titles": ["planted"], "project": 2}"#, 201, 500),
    ("PATCH", "/tasks/2", r#"{"project": 2}"#, 204, 500),
    ("PATCH", "/projects/1", r#"{"organisation_id": 2}"#, 200, 500),
    ("POST", "/tasks/close-overdue", "", 200, 200),
    ("DELETE", "/tasks/3", "", 204, 404),
    ("DELETE", "/projects/2", "", 204, 404),
];

/// The project at a database, as one of its database roles, through PgBouncer.
fn through_pgbouncer(project: &Application, database: &str, user: &str) -> Application {
    project.with(&[
        ("DATABASE_HOST", CLUSTER.1.host().to_str().expect("paths are text")),
        ("DATABASE_PORT", "6432"),
        ("DATABASE_NAME", database),
        ("DATABASE_USER", user),
    ])
}

/// On a connection of its own, as those who migrate: `board_migrator`, or an administrator.
fn directly(project: &Application, database: &str, user: &str) -> Application {
    let host = CLUSTER.0.host().to_str().expect("paths are text");
    through_pgbouncer(project, database, user).with(&[("DATABASE_HOST", host), ("DATABASE_PORT", "5432")])
}

fn manage(project: &Application, arguments: &[&str]) -> String {
    project.run("PGT_PYTHON", &[&["manage.py"], arguments].concat())
}

fn serve(project: &Application, settings: &str) -> Server {
    project.with(&[("DJANGO_SETTINGS_MODULE", settings)]).serve(
        "PGT_PYTHON",
        &[source("tests/integration/applications/serve.py").to_str().expect("paths are text")],
    )
}

/// What the project's database roles may do with tables, whoever of the two makes them.
const PRIVILEGES: &str = "GRANT CREATE ON SCHEMA public TO board_migrator;
    ALTER DEFAULT PRIVILEGES FOR ROLE board_migrator, postgres
        GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO board_app, board_jobs;
    ALTER DEFAULT PRIVILEGES FOR ROLE board_migrator, postgres
        GRANT USAGE ON SEQUENCES TO board_app, board_jobs";

/// A database with the project's tables and the rows of two organisations.
fn existing_database(project: &Application, name: &str) -> Session {
    let mut admin = CLUSTER.0.database(name);
    admin.run(PRIVILEGES);
    let migrator = directly(project, name, "board_migrator");
    manage(&migrator, &["migrate", "--verbosity=0"]);
    manage(&migrator, &["loaddata", "--verbosity=0", "two_organisations"]);
    admin
}

fn existing(name: &str) -> Application {
    Application::assemble(&CLUSTER.0, name, &["board"])
}

/// An existing database under tenancy, as the guide says, to make copies of.
static ADOPTED: LazyLock<()> = LazyLock::new(|| {
    existing_database(&existing("board_old"), "adopted");
    Guide::read("django.md").run(&CLUSTER.0, "adopted", "");
    let project = under_tenancy("board_new");
    manage(&directly(&project, "adopted", "postgres"), &["migrate", "--verbosity=0"]);
});

fn under_tenancy(name: &str) -> Application {
    Application::assemble(&CLUSTER.0, name, &["board", "board_tenancy"])
        .with(&[("DJANGO_SETTINGS_MODULE", "board.settings_tenancy")])
}

/// The project under tenancy, and a database of its own.
fn adopted(name: &str) -> (Application, Session) {
    LazyLock::force(&ADOPTED);
    static ONE_COPY_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_COPY_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    CLUSTER.0.connect("postgres").run(&format!("CREATE DATABASE {name} TEMPLATE adopted"));
    (under_tenancy(name), CLUSTER.0.connect(name))
}

fn log_in(server: &Server, name: &str, organisation: u32) -> Browser {
    let mut browser = server.client(&[]);
    let login = json!({ "username": name, "password": name }).to_string();
    assert_eq!(browser.send("POST", "/login", &login).status, 204, "{}", server.log());
    let switched = browser.send("POST", &format!("/organisations/{organisation}/switch"), "");
    assert_eq!(switched.status, 204, "{name} {organisation} {}", server.log());
    browser
}

fn titles(answer: &Value) -> Vec<&str> {
    let tasks = answer["tasks"].as_array().expect("a list");
    tasks.iter().map(|task| task["title"].as_str().expect("a text")).collect()
}

/// Everything that is Bee's.
fn bees(admin: &mut Session) -> Vec<pg_tenancy_integration::Row> {
    admin.rows(
        "SELECT p::text FROM work_project p WHERE organisation_id = 2 UNION ALL
         SELECT t::text FROM work_task t JOIN work_project p ON p.id = t.project_id WHERE p.organisation_id = 2
         ORDER BY 1",
    )
}

#[test]
fn nothing_but_settings_middleware_migration_and_command_is_added() {
    let applications = source("tests/integration/applications");
    assert_eq!(
        files_below(&applications.join("board_tenancy")),
        [
            "board/settings_tenancy.py",
            "board/settings_tenancy_tests.py",
            "board/tenancy.py",
            "work/management/commands/each_organisation.py",
            "work/migrations/0002_tenancy.py",
        ]
    );
    let existing = files_below(&applications.join("board"));
    assert!(existing.iter().any(|file| file == "work/views.py"), "{existing:?}");
    for added in files_below(&applications.join("board_tenancy")) {
        assert!(!existing.contains(&added), "{added} takes the place of a file of the project");
    }
}

#[test]
fn as_it_was_its_own_tests_pass_and_the_attacks_succeed() {
    let project = existing("board_before");
    let mut admin = existing_database(&project, "board_before");
    let tests = through_pgbouncer(&project, "board_before", "postgres");
    assert!(manage(&tests, &["test", "--keepdb"]).contains("OK"));

    let before = bees(&mut admin);
    let server = serve(&through_pgbouncer(&project, "board_before", "board_app"), "board.settings");
    attack(&mut log_in(&server, "ann", 1), ATTACKS, false, SECRET);
    assert_ne!(bees(&mut admin), before);
}

#[test]
fn under_tenancy_its_own_tests_pass_isolated() {
    let (project, mut admin) = adopted("board_tests");
    admin.run("CREATE DATABASE tenancy_template");
    CLUSTER.0.connect("tenancy_template").run(PRIVILEGES);
    Guide::read("django.md").run(&CLUSTER.0, "tenancy_template", "");
    let tests = through_pgbouncer(&project, "board_tests", "postgres")
        .with(&[("DJANGO_SETTINGS_MODULE", "board.settings_tenancy_tests")]);
    let said = manage(&tests, &["test", "--keepdb"]);
    assert!(said.contains("Ran 9 tests") && said.contains("OK"), "{said}");
    // They do run isolated: without an identity nothing is found.
    project.write(
        "board/settings_forgetful.py",
        "from board.settings_tenancy_tests import *\nMIDDLEWARE.remove('board.tenancy.TenancyMiddleware')\n",
    );
    let forgotten = tests.with(&[("DJANGO_SETTINGS_MODULE", "board.settings_forgetful")]);
    let (passed, said) = forgotten.attempt("PGT_PYTHON", &["manage.py", "test", "--keepdb"]);
    assert!(!passed && said.contains("failures="), "{said}");
}

#[test]
fn under_tenancy_the_attacks_fail_and_requests_are_each_their_own() {
    let (project, mut admin) = adopted("board");
    let before = bees(&mut admin);
    let application = through_pgbouncer(&project, "board", "board_app");
    let server = serve(&application, "board.settings_tenancy");
    let mut ann = log_in(&server, "ann", 1);
    attack(&mut ann, ATTACKS, true, SECRET);
    assert_eq!(bees(&mut admin), before, "the attacks changed something");

    // Who is nobody, and who may only look.
    assert_eq!(titles(&server.client(&[]).get("/tasks").json()), [""; 0]);
    let mut vic = log_in(&server, "vic", 1);
    assert_eq!(titles(&vic.get("/tasks").json()), ["dig", "carry"]);
    assert_eq!(vic.send("PATCH", "/tasks/1", r#"{"points": 7}"#).status, 404);
    assert_eq!(vic.send("POST", "/projects", r#"{"name": "x"}"#).status, 403);

    // Two organisations at once, over one server connection; one user who is in both chooses.
    let mut bob = log_in(&server, "bob", 2);
    let mut cat = log_in(&server, "cat", 1);
    std::thread::scope(|scope| {
        for (browser, expected) in
            [(&mut ann, ["dig", "carry"]), (&mut bob, ["bee secret dance", "bee secret honey"])]
        {
            scope.spawn(move || {
                for _ in 0..25 {
                    assert_eq!(titles(&browser.get("/tasks").json()), expected);
                }
            });
        }
        for _ in 0..12 {
            assert_eq!(titles(&cat.get("/tasks").json()), ["dig", "carry"]);
            cat.send("POST", "/organisations/2/switch", "");
            assert_eq!(titles(&cat.get("/tasks").json()), ["bee secret dance", "bee secret honey"]);
            cat.send("POST", "/organisations/1/switch", "");
        }
    });
    assert_eq!(bob.get("/export").body.lines().count(), 2);

    // A view that fails half-way takes back what it did.
    let before = ann.get("/projects").body;
    let half = r#"{"name": "half", "tasks": [{"title": "one"}, {}]}"#;
    assert_eq!(ann.send("POST", "/projects", half).status, 500);
    assert_eq!(ann.get("/projects").body, before);

    // Ann leaves: her session goes on, and sees nothing from the next request on.
    assert!(ann.get("/export").body.contains("dig"));
    admin.run("DELETE FROM work_membership WHERE user_id = 1");
    assert_eq!(ann.get("/export").body, "");
    assert_eq!(ann.get("/tasks/1").status, 404);
    assert_eq!(vic.get("/tasks/1").status, 200);

    // The middleware forgotten: nothing is seen. The fence taken down: everything is.
    let forgetful = serve(&application, "board.settings");
    assert_eq!(forgetful.client(&[]).get("/tasks").body, r#"{"tasks": []}"#);
    admin.run("SELECT tenancy.unprotect_table('work_task'), tenancy.unprotect_table('work_project')");
    assert!(vic.get("/tasks").body.contains(SECRET));
}

/// With views that fail, and error pages that have queries.
fn with_errors(name: &str) -> (Application, Session) {
    let (project, admin) = adopted(name);
    Application::assemble(&CLUSTER.0, name, &["board_errors"]);
    (project, admin)
}

#[test]
fn what_fails_is_taken_back_and_its_error_page_is_the_users() {
    let (project, mut admin) = with_errors("board_errors");
    let server = serve(&through_pgbouncer(&project, "board_errors", "board_app"), "board.settings_errors");
    let mut ann = log_in(&server, "ann", 1);
    let mut answer = |path: &str| {
        let answer = ann.get(path);
        (answer.status, answer.body)
    };
    let said = |status: u16, body: &str| (status, body.to_owned());
    assert_eq!(answer("/missing"), said(404, "not found: dig,carry"));
    assert_eq!(answer("/nowhere"), said(404, "not found: dig,carry"));
    assert_eq!(answer("/fails"), said(500, "failed: dig,carry"));
    // Turned into another answer, as ATOMIC_REQUESTS has it; by a step behind the middleware; by the view itself.
    assert_eq!(answer("/api-error"), said(400, "no: dig,carry"));
    assert_eq!(answer("/fails-behind"), said(500, "failed: dig,carry"));
    assert_eq!(answer("/unavailable").0, 503);
    assert_eq!(answer("/conflict").0, 409);
    let kept = admin.rows("SELECT string_agg(name, ', ' ORDER BY id) FROM work_project WHERE name ~ '/'");
    assert_eq!(kept, [[Some("report /fails, /conflict".to_owned())]]);
    assert_eq!(server.log().matches("committed").count(), 1, "{}", server.log());
    assert!(server.log().contains("committed /conflict"));

    // By either psycopg's SQLSTATE, or by none.
    assert_eq!(answer("/refused").0, 403);
    assert_eq!(answer("/without-a-cause"), said(500, "failed: dig,carry"));
    assert!(!server.log().contains("AttributeError"), "{}", server.log());
    // Who is somebody else for a while is himself again.
    let seen = "dig,carry; bee secret dance,bee secret honey; dig,carry; dig,carry";
    assert_eq!(answer("/as-bob"), said(200, seen));
    // A download keeps no connection of PgBouncer's.
    assert_eq!(answer("/file"), said(200, "file"));
    assert!(server.log().contains("in a transaction: False"));
    assert!(!server.log().contains("in a transaction: True"));
}

#[test]
fn the_nightly_job_runs_in_every_organisation_and_nowhere_else() {
    let (project, mut admin) = adopted("board_jobs_run");
    let jobs = through_pgbouncer(&project, "board_jobs_run", "board_jobs");
    assert_eq!(manage(&jobs, &["close_overdue"]), "closed 0\n");
    let said = manage(&jobs, &["each_organisation", "close_overdue"]);
    assert_eq!(said, "organisation 1:\nclosed 1\norganisation 2:\nclosed 1\n");
    assert_eq!(admin.number("SELECT count(*) FROM work_task WHERE done"), 2);
    // One organisation's failure leaves nothing there, and is no other's.
    Application::assemble(&CLUSTER.0, "board_jobs_run", &["board_errors"]);
    let (done, said) = jobs.attempt("PGT_PYTHON", &["manage.py", "each_organisation", "fail_in_ant"]);
    assert!(!done && said.contains("ValueError") && said.contains("fail_in_ant failed in 1\n"), "{said}");
    assert_eq!(admin.number("SELECT count(*) FROM work_task WHERE points = 7"), 2);
    assert_eq!(admin.number("SELECT count(*) FROM work_task WHERE points = 7 AND project_id = 1"), 0);
    // The application's own role may enter none.
    let application = through_pgbouncer(&project, "board_jobs_run", "board_app");
    let (done, said) =
        application.attempt("PGT_PYTHON", &["manage.py", "each_organisation", "close_overdue"]);
    assert!(!done && said.contains("may not enter tenants"), "{said}");
}

#[test]
fn the_migrator_sees_no_changes_and_no_rows_that_he_would_overlook() {
    let (project, mut admin) = adopted("board_migrations");
    let migrator = directly(&project, "board_migrations", "board_migrator");
    assert_eq!(manage(&migrator, &["makemigrations", "--check", "--dry-run"]), "No changes detected\n");
    manage(&migrator, &["migrate", "--check"]);
    // What a data migration would do.
    let (done, said) = migrator.attempt(
        "PGT_PYTHON",
        &["manage.py", "shell", "-c", "from work.models import Task; Task.objects.update(points=5)"],
    );
    assert!(!done && said.contains("row-level security"), "{said}");
    assert_eq!(admin.number("SELECT count(*) FROM work_task WHERE points = 5"), 0);
    // Schema migrations of the next days. A foreign key to a protected table is checked by a query over both tables,
    // from which policies would hide rows: that, too, is for an administrator.
    let next = |name: &str, after: &str, operation: &str| {
        let text = format!(
            "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    \
             dependencies = [('work', '{after}')]\n    operations = [migrations.{operation}]\n"
        );
        project.write(&format!("work/migrations/{name}.py"), &text);
    };
    next("0003_estimate", "0002_tenancy", "AddField('task', 'estimate', models.IntegerField(null=True))");
    next("0004_title", "0003_estimate", "AlterField('task', 'title', models.CharField(max_length=300))");
    manage(&migrator, &["migrate", "--verbosity=0"]);
    assert_eq!(admin.number("SELECT count(*) FROM work_task WHERE estimate IS NULL"), 4);
    let note = "CreateModel('Note', [('id', models.BigAutoField(primary_key=True)), \
                ('task', models.ForeignKey('work.Task', on_delete=models.CASCADE))])";
    next("0005_note", "0004_title", note);
    let (done, said) = migrator.attempt("PGT_PYTHON", &["manage.py", "migrate", "--verbosity=0"]);
    assert!(!done && said.contains("row-level security"), "{said}");
    manage(&directly(&project, "board_migrations", "postgres"), &["migrate", "--verbosity=0"]);
}

const NONE_OPEN: (&str, &str) = ("transaction", "this statement is one of its own");
const NONE_IN_IT: (&str, &str) = ("transaction", "no identity was set in it");

#[test]
fn what_django_does_wrong_by_default_shows_nothing_and_is_explained() {
    let (project, _admin) = adopted("board_mistakes");
    let application = through_pgbouncer(&project, "board_mistakes", "board_app");
    let program = source("tests/integration/drivers/recipes/django_steps.py");
    let steps =
        Steps::of(&mut application.command("PGT_PYTHON", &[program.to_str().expect("paths are text")]));
    steps.all("ann", 1, 1);
    steps.all("ann by claims", 1, 1);
    for step in ["autocommit", "plain SET", "on commit", "another thread"] {
        steps.mistake(step, NONE_OPEN);
    }
    steps.mistake("atomic too late", NONE_IN_IT);
    steps.all("after the transaction", 1, 0);
    steps.all("bob inside of ann", 1, json!(["bee secret hive"]));
    steps.all("ann again", 3, json!(["hill"]));
    steps.all("refused", 2, json!(["RuntimeError", 0]));
    steps.all("streamed", 1, json!([1, 1]));
    steps.all("after the stream", 1, 0);
    steps.all("exists", 1, false);
    steps.all("bulk_create", 1, json!([true]));
    steps.all("select_for_update", 1, 0);
    steps.all("another's row", 1, "42501");
}
