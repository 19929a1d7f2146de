//! Directories that nothing can come from are not opened.

use super::*;

#[derive(Default)]
struct Seen(Vec<String>);

impl crate::files::walk::Visit for Seen {
    fn enter(&mut self, path: &[u8], _: &Item<'_>) -> Result<(), Error> {
        self.0.push(format!("{}/", tree::text(path)));
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn file(&mut self, path: &[u8], _: &Item<'_>) -> Result<(), Error> {
        self.0.push(tree::text(path).into_owned());
        Ok(())
    }
}

fn seen(from: &TempDir, ignore: &str, start: &str, filter: &Filter<'_>) -> (usize, Vec<String>) {
    let mut seen = Seen::default();
    let read =
        crate::files::walk::walk(&context(from, ignore), start.as_bytes(), filter, &mut seen);
    (read.unwrap(), seen.0)
}

#[test]
fn ignored_directories_stay_closed() {
    let mut words = String::new();
    for package in 0..300 {
        words += &format!("node_modules/p{package}/lib/a=1 ");
    }
    let from = tree_of(&(words + "src/a=1 src/b/c=2 keep/x=1"));
    let none = Filter::default();
    let (read, files) = seen(&from, "node_modules", "", &none);
    assert_eq!(read, 4);
    assert_eq!(
        files,
        ["keep/", "keep/x", "src/", "src/a", "src/b/", "src/b/c"]
    );
    // One of them comes back: it alone is looked at.
    let (read, files) = seen(&from, "node_modules\n!node_modules/p7", "src/b", &none);
    assert_eq!((read, files), (1, vec!["c".to_owned()]));
    let (read, files) = seen(&from, "*\n!node_modules/p7/lib/a", "", &none);
    assert_eq!(read, 4);
    assert_eq!(
        files,
        [
            "node_modules/",
            "node_modules/p7/",
            "node_modules/p7/lib/",
            "node_modules/p7/lib/a"
        ]
    );
    // One that stands before the rule takes nothing back.
    assert_eq!(
        seen(&from, "!node_modules/p7\nnode_modules", "", &none).0,
        4
    );
    // Whoever could match anywhere makes everybody look.
    assert_eq!(seen(&from, "node_modules\n!**/a", "", &none).0, 605);
}

#[test]
fn what_is_not_named_stays_closed() {
    let from = tree_of("a/b/c=1 a/d/e=2 f/g/h=3 f/i=4");
    let rules = |text: &str| Ignore::parse(text).unwrap();
    let only = rules("a/b");
    let filter = Filter {
        exclude: None,
        only: Some(&only),
    };
    let (read, files) = seen(&from, "", "", &filter);
    assert_eq!(
        (read, files),
        (3, ["a/", "a/b/", "a/b/c"].map(str::to_owned).to_vec())
    );
    let exclude = rules("a\n!a/d/x\nf/g");
    let filter = Filter {
        exclude: Some(&exclude),
        only: None,
    };
    let (read, files) = seen(&from, "", "", &filter);
    assert_eq!(
        (read, files),
        (4, ["f/", "f/i"].map(str::to_owned).to_vec())
    );
}
