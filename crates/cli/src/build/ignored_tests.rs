//! What stays behind by `.dockerignore`, beside what Docker's own client sent of the same folder (`ignored.txt`).

use onggi_archive::TarReader;
use onggi_dockerfile::ignore::Ignore;
use std::collections::BTreeSet;

use super::*;

const RECORDED: &str = include_str!("ignored.txt");

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                other => out.extend(other),
            },
            _ => out.push(c),
        }
    }
    out
}

fn sent_of(root: &Path, rules: &str) -> BTreeSet<String> {
    let tree = Tree {
        root: root.to_owned(),
        ignore: Ignore::parse(rules).expect("rules"),
        keep: vec!["Dockerfile".to_owned(), ".dockerignore".to_owned()],
        ..Tree::default()
    };
    let mut tar = TarWriter::new(Vec::new());
    tree.write(&mut tar).expect("a tar");
    let tar = tar.finish().expect("a tar");
    let mut reader = TarReader::new(&tar[..]);
    let mut names = BTreeSet::new();
    while let Some(entry) = reader.next().expect("an entry") {
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        names.insert(name);
    }
    names
}

#[test]
fn the_same_stays_behind_as_with_docker() {
    let mut parts = RECORDED.split("\n\n").skip(1);
    let place = tempfile::tempdir().expect("a folder");
    let mut all = BTreeSet::from([".dockerignore".to_owned()]);
    std::fs::write(place.path().join(".dockerignore"), "").expect("a file");
    for name in parts.next().expect("the folder").lines() {
        all.insert(name.to_owned());
        let path = place.path().join(name);
        if name.ends_with('/') {
            std::fs::create_dir_all(path).expect("a folder");
        } else {
            std::fs::write(path, "x").expect("a file");
        }
    }
    let (mut count, mut different) = (0, Vec::new());
    for case in parts {
        let mut lines = case.lines();
        let first = lines.next().expect("the rules");
        let text = first
            .strip_prefix("= ")
            .or_else(|| first.strip_prefix("~ "))
            .and_then(|text| text.strip_suffix('$'));
        let rules = unescaped(text.expect("rules between = and $"));
        let (mut wanted, mut only) = (all.clone(), None);
        for line in lines {
            match line.split_at(2) {
                ("- ", name) => drop(wanted.remove(name)),
                (_, name) => drop(
                    only.get_or_insert_with(BTreeSet::new)
                        .insert(name.to_owned()),
                ),
            }
        }
        let (wanted, found) = (only.unwrap_or(wanted), sent_of(place.path(), &rules));
        if wanted != found {
            let more: Vec<_> = found.difference(&wanted).collect();
            let less: Vec<_> = wanted.difference(&found).collect();
            different.push(format!("{rules:?}: too many {more:?}, too few {less:?}"));
        }
        count += 1;
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(count > 100, "{count}");
}
