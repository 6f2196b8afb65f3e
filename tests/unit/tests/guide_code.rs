//! Code in the guides is code that the tests run: each block of Python, JavaScript, Rust or Prisma stands word for word in the
//! file that the comment above it names.

use std::fs;
use std::path::Path;

#[test]
fn code_in_the_guides_is_code_that_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut compared = 0;
    for page in fs::read_dir(root.join("docs/guides")).expect("there are guides") {
        let page = page.expect("it can be listed").path();
        let text = fs::read_to_string(&page).expect("pages are text");
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            if !["```python", "```js", "```rust", "```ts", "```prisma"].contains(line) {
                continue;
            }
            let place = format!("{}:{}", page.display(), number + 1);
            let file = number
                .checked_sub(1)
                .and_then(|above| lines[above].strip_prefix("<!-- code: ")?.strip_suffix(" -->"))
                .unwrap_or_else(|| panic!("{place}: name the file above the block: <!-- code: tests/… -->"));
            let block: Vec<&str> =
                lines[number + 1..].iter().copied().take_while(|line| *line != "```").collect();
            let code = fs::read_to_string(root.join(file))
                .unwrap_or_else(|error| panic!("{place}: {file}: {error}"));
            assert!(code.contains(&block.join("\n")), "{place} is not what {file} says");
            compared += 1;
        }
    }
    assert!(compared >= 10, "compared {compared} blocks");
}
