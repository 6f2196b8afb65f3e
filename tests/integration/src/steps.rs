//! What programs of tests/integration/drivers/recipes report: a line of JSON for each step, what it saw, and what
//! diagnose() said there.

use serde_json::Value;
use std::process::Command;

pub struct Steps(Vec<Value>);

impl Steps {
    /// Those of a program, which must succeed.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}{said}");
        Self(printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect())
    }

    fn named(&self, name: &str) -> Vec<&Value> {
        self.0.iter().filter(|step| step["step"] == name).collect()
    }

    /// A step was taken so often, and saw this each time.
    #[track_caller]
    pub fn all(&self, name: &str, times: usize, seen: impl Into<Value>) {
        let (steps, seen) = (self.named(name), seen.into());
        assert_eq!(steps.len(), times, "{name}: {:?}", self.0);
        for step in steps {
            assert_eq!(step["seen"], seen, "{name}: {step}");
        }
    }

    /// A step that was a mistake saw nothing, and a row of diagnose() has this topic and this in its finding.
    #[track_caller]
    pub fn mistake(&self, name: &str, expected: (&str, &str)) {
        self.mistakes(name, 1, expected);
    }

    /// The same of a step that was taken so often.
    #[track_caller]
    pub fn mistakes(&self, name: &str, times: usize, (topic, finding): (&str, &str)) {
        self.all(name, times, 0);
        for step in self.named(name) {
            let rows = step["diagnosis"].as_array().expect("rows");
            let said = rows
                .iter()
                .any(|row| row[0] == topic && row[1].as_str().is_some_and(|f| f.contains(finding)));
            assert!(said, "{name}: no {topic} with {finding}: {step}");
        }
    }
}
