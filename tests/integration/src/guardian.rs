//! Ends a service when its test ends: a shell waits for a pipe to close, which also happens when the test
//! program is killed, and statics need no Drop for it.

use std::process::{Child, Command, Stdio};

pub struct Guardian(Child);

impl Guardian {
    /// `script` runs when the pipe closes; `arguments` are its positional parameters.
    pub fn watch(script: &str, arguments: &[&std::ffi::OsStr]) -> Self {
        use std::os::unix::process::CommandExt;
        let child = Command::new("sh")
            .args(["-c", script, "guardian"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal from the terminal is for the test; it ends, and then we do.
            .process_group(0)
            .spawn();
        Self(child.expect("sh starts"))
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
