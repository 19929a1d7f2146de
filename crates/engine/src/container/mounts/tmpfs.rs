//! Options of a tmpfs: Docker's defaults, and what replaces them.

use onggi_api::container::TmpfsOptions;

use crate::error::{Error, Result};

/// What turns a default off, and what turns it on again.
const FLAGS: [(&str, &str); 4] = [
    ("noexec", "exec"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("ro", "rw"),
];
const KEYS: [&str; 7] = [
    "size",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
];
const WORDS: [&str; 11] = [
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "sync",
    "async",
    "dirsync",
    "strictatime",
    "nostrictatime",
];

/// `size=64m,exec` of `--tmpfs`: the options replace the defaults they contradict.
pub(super) fn of_text(text: &str) -> Result<Vec<String>> {
    merge(text.split(',').filter(|option| !option.is_empty()))
}

/// Those of `--mount`.
pub(super) fn of_mount(options: &TmpfsOptions) -> Result<Vec<String>> {
    let mut words = Vec::new();
    if options.size_bytes > 0 {
        words.push(format!("size={}", options.size_bytes));
    }
    if options.mode > 0 {
        words.push(format!("mode={:o}", options.mode));
    }
    for option in options.options.iter().flatten() {
        match option.len() {
            1 | 2 => words.push(option.join("=")),
            _ => return Err(Error::invalid("invalid option array length")),
        }
    }
    merge(words.iter().map(String::as_str))
}

fn merge<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut options = ["noexec", "nosuid", "nodev", "rprivate"]
        .map(str::to_owned)
        .to_vec();
    for word in words {
        let name = word.split('=').next().unwrap_or(word);
        let is_flag = FLAGS.iter().any(|&(off, on)| word == off || word == on);
        if !is_flag && !KEYS.contains(&name) && !WORDS.contains(&word) {
            return Err(Error::invalid(format!("invalid tmpfs option [\"{word}\"]")));
        }
        for (off, on) in FLAGS {
            if word == on {
                options.retain(|o| o != off);
            } else if word == off {
                options.retain(|o| o != on && o != off);
            }
        }
        options.push(word.to_owned());
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_replace_defaults() {
        assert_eq!(
            of_text("size=64m,exec").expect("reads"),
            ["nosuid", "nodev", "rprivate", "size=64m", "exec"]
        );
        let options = TmpfsOptions {
            size_bytes: 1 << 20,
            mode: 0o1770,
            options: Some(vec![vec!["exec".to_owned()]]),
        };
        assert_eq!(
            of_mount(&options).expect("reads")[2..],
            ["rprivate", "size=1048576", "mode=1770", "exec"]
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let error = of_text("bogus").expect_err("refused").to_string();
        assert_eq!(error, "invalid tmpfs option [\"bogus\"]");
        let options = TmpfsOptions {
            options: Some(vec![vec![]]),
            ..TmpfsOptions::default()
        };
        assert!(of_mount(&options).is_err());
    }
}
