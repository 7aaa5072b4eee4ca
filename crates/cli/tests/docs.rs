//! What the documentation names is there.

use std::path::Path;

/// These pages name tests by file and function: no entry may outlive its test.
#[test]
fn every_test_that_the_pages_name_exists() {
    assert!(named("docs/evidence.md") > 50);
    assert!(named("docs/verification.md") > 25);
}

/// How many tests a page names, all of which are there.
fn named(page: &str) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join(page)).unwrap();
    let mut found = 0;
    for row in page.lines().filter(|line| line.starts_with('|')) {
        let mut source = None;
        // Every second piece is between backquotes.
        for word in row.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") {
                let file = [root.join(word), root.join("crates").join(word)].into_iter().find(|file| file.is_file());
                source = Some(std::fs::read_to_string(file.unwrap_or_else(|| panic!("{word}: no such file"))).unwrap());
            } else if let Some(source) = source.as_ref().filter(|_| word.contains('_')) {
                assert!(source.contains(&format!("fn {word}(")), "{row}: no test {word}");
                found += 1;
            }
        }
    }
    found
}
