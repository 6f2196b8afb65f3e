//! The applications of tests/integration/applications: copied, run as their own developers run them, and asked by HTTP.

use crate::guardian::Guardian;
use crate::{Cluster, eventually, required, source};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Application {
    dir: PathBuf,
    environment: Vec<(String, String)>,
}

impl Application {
    /// Below the cluster's directory; a later layer's files take the place of an earlier one's.
    pub fn assemble(cluster: &Cluster, name: &str, layers: &[&str]) -> Self {
        let dir = cluster.host().join(name);
        for layer in layers {
            copy(&source("tests/integration/applications").join(layer), &dir);
        }
        Self { dir, environment: vec![("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())] }
    }

    #[must_use]
    pub fn with(&self, environment: &[(&str, &str)]) -> Self {
        let added = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { dir: self.dir.clone(), environment: self.environment.iter().cloned().chain(added).collect() }
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.dir.join(file), text).expect("the directory is ours");
    }

    /// What a program of its printed, to wherever, and whether it succeeded.
    pub fn attempt(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let output = self.command(program, arguments).output().expect("the program starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// A program of its, to be run where it is and as it is configured.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(required(program));
        command.args(arguments).current_dir(&self.dir).envs(self.environment.iter().cloned());
        command
    }

    #[track_caller]
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let (success, said) = self.attempt(program, arguments);
        assert!(success, "{arguments:?}: {said}");
        said
    }

    /// Starts a server that prints the port it listens on.
    pub fn serve(&self, program: &str, arguments: &[&str]) -> Server {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let said = self.dir.join(format!("server.{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let script = r#"cd "$1"; out=$2; shift 2; "$@" >"$out" 2>"$out.errors" & cat; kill $!; wait"#;
        let variables: Vec<String> =
            self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let program = required(program);
        let mut command: Vec<&std::ffi::OsStr> = vec![self.dir.as_os_str(), said.as_os_str(), "env".as_ref()];
        command.extend(variables.iter().map(std::ffi::OsStr::new));
        command.push(program.as_os_str());
        command.extend(arguments.iter().map(|argument| std::ffi::OsStr::new(*argument)));
        let guardian = Guardian::watch(script, &command);
        let port = || std::fs::read_to_string(&said).ok()?.trim().parse().ok();
        eventually("the application listens", || port().is_some());
        // Not with_extension(), which would take the count's place.
        let errors = PathBuf::from(format!("{}.errors", said.display()));
        Server { port: port().expect("just there"), said: errors, _guardian: guardian }
    }
}

pub struct Server {
    port: u16,
    said: PathBuf,
    _guardian: Guardian,
}

impl Server {
    /// Somebody who sends these headers, and the cookies that he gets.
    pub fn client(&self, headers: &[(&str, &str)]) -> Browser {
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Browser { port: self.port, headers, cookies: String::new() }
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }
}

#[derive(Clone)]
pub struct Browser {
    port: u16,
    headers: String,
    cookies: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Browser {
    #[track_caller]
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        // By 1.0 nobody sends the body in chunks, and the connection ends with it.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{}Cookie: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.headers,
            self.cookies,
            body.len()
        );
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("no zero");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        for cookie in head.lines().filter_map(|line| line.strip_prefix("Set-Cookie: ")) {
            let cookie = cookie.split(';').next().unwrap_or_default();
            self.cookies = format!("{}{cookie}; ", self.cookies);
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("{method} {path}: {answer:?}")),
            body: body.to_owned(),
        }
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "")
    }
}

/// All files below a directory, as paths relative to it.
pub fn files_below(dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.expect("it can be listed").path();
            match path.is_dir() {
                true => open.push(path),
                false => files.push(path.strip_prefix(dir).expect("below it").display().to_string()),
            }
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(&file);
        std::fs::create_dir_all(target.parent().expect("below something")).expect("the directory is ours");
        std::fs::copy(from.join(&file), target).expect("the directory is ours");
    }
}
