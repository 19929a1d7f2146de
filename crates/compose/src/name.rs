//! The name of a project: `-p`, `COMPOSE_PROJECT_NAME`, `name:` of the files, the folder.

use std::path::Path;

use crate::error::Problem;

/// The name, if it is one.
///
/// # Errors
/// Letters that no project name has.
pub(crate) fn check(name: &str) -> Result<&str, Problem> {
    if !name.is_empty() && clean(name) == name {
        return Ok(name);
    }
    Err(Problem::general(format!(
        "invalid project name \"{name}\": must consist only of lowercase alphanumeric characters, hyphens, and \
         underscores as well as start with a letter or number"
    )))
}

/// A name made of a folder's.
///
/// # Errors
/// A folder whose name has no letter that a project's may have.
pub(crate) fn of_folder(folder: &Path) -> Result<String, Problem> {
    let last = folder.file_name().unwrap_or_default().to_string_lossy();
    match clean(&last) {
        name if name.is_empty() => Err(Problem::general("project name must not be empty")
            .hint("give it one with -p or with 'name:' in the file")),
        name => Ok(name),
    }
}

/// Small letters, without what a name may not have.
fn clean(text: &str) -> String {
    let small = text.to_lowercase();
    let keep = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(*c);
    let kept: String = small.chars().filter(keep).collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_become_names() {
        for (folder, name) in [
            ("/srv/My App", "myapp"),
            ("/srv/a_b-c.d", "a_b-cd"),
            ("/srv/_x", "x"),
            ("/srv/Ünï9", "n9"),
        ] {
            assert_eq!(of_folder(Path::new(folder)).unwrap(), name);
        }
        assert!(of_folder(Path::new("/")).is_err());
        assert!(of_folder(Path::new("/srv/日本")).is_err());
    }

    #[test]
    fn given_names_must_be_right() {
        assert!(check("a-b_1").is_ok());
        for name in ["", "A", "-a", "a b", "a.b"] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
