//! Truth in query parameters: everything is true but the empty text, `0`, `no`, `false` and `none`.

/// Reads a yes-or-no parameter as dockerd reads it.
pub fn boolean(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
}

#[cfg(test)]
mod tests {
    #[test]
    fn truth_is_dockerds() {
        for yes in ["1", "true", "True", "yes", "x", " 1 "] {
            assert!(super::boolean(yes), "{yes}");
        }
        for no in ["", "0", "no", "FALSE", "none", " 0 "] {
            assert!(!super::boolean(no), "{no}");
        }
    }
}
