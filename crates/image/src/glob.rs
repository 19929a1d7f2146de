//! Go's `path.Match`: `*` and `?` stop at slashes, `[a-z]` and `[^a-z]` are classes, `\` quotes.

/// Whether `name` as a whole matches `pattern`; `None` when the pattern is malformed.
pub(crate) fn matches(pattern: &str, name: &str) -> Option<bool> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    well_formed(&pattern).then(|| run(&pattern, &name))
}

fn well_formed(mut pattern: &[char]) -> bool {
    while let Some((first, rest)) = pattern.split_first() {
        pattern = match first {
            '[' => match class(rest, None) {
                Some((_, rest)) => rest,
                None => return false,
            },
            '\\' => match rest.split_first() {
                Some((_, rest)) => rest,
                None => return false,
            },
            _ => rest,
        };
    }
    true
}

/// Two positions to come back to are enough: after a later star an earlier one need not be tried again,
/// because neither crosses a slash.
fn run(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (pattern, name);
    let mut back: Option<(&[char], &[char])> = None;
    loop {
        let step = match (p.split_first(), n.split_first()) {
            (None, None) => return true,
            (Some(('*', rest)), _) => {
                back = Some((rest, n));
                Some((rest, n))
            }
            (Some(('?', rest)), Some((c, left))) if *c != '/' => Some((rest, left)),
            (Some(('[', rest)), Some((c, left))) => match class(rest, Some(*c)) {
                Some((true, rest)) => Some((rest, left)),
                _ => None,
            },
            (Some(('\\', rest)), Some((c, left))) => rest
                .split_first()
                .filter(|(q, _)| *q == c)
                .map(|(_, rest)| (rest, left)),
            (Some((q, rest)), Some((c, left))) if q == c && *q != '?' => Some((rest, left)),
            _ => None,
        };
        (p, n) = match (step, back) {
            (Some(next), _) => next,
            (None, Some((star, held))) => match held.split_first() {
                Some((c, left)) if *c != '/' => {
                    back = Some((star, left));
                    (star, left)
                }
                _ => return false,
            },
            (None, None) => return false,
        };
    }
}

/// Reads a class after its `[`: whether `c` is in it, and what follows.
fn class(pattern: &[char], c: Option<char>) -> Option<(bool, &[char])> {
    let (negated, mut rest) = match pattern.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    let mut first = true;
    loop {
        if let Some((']', after)) = rest.split_first()
            && !first
        {
            return Some((found != negated, after));
        }
        first = false;
        let (low, after) = class_char(rest)?;
        let (high, after) = match after.split_first() {
            Some(('-', after)) => class_char(after)?,
            _ => (low, after),
        };
        found |= c.is_some_and(|c| low <= c && c <= high);
        rest = after;
    }
}

fn class_char(pattern: &[char]) -> Option<(char, &[char])> {
    match pattern.split_first()? {
        ('\\', rest) => rest.split_first().map(|(c, rest)| (*c, rest)),
        ('-' | ']', _) => None,
        (c, rest) => Some((*c, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn as_go_does() {
        for (pattern, name, expected) in [
            ("abc", "abc", Some(true)),
            ("*", "abc", Some(true)),
            ("*c", "abc", Some(true)),
            ("a*", "ab/c", Some(false)),
            ("a*/b", "abc/b", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", Some(false)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
            ("ab[c]", "abc", Some(true)),
            ("ab[b-d]", "abc", Some(true)),
            ("ab[^b-d]", "abc", Some(false)),
            ("a\\*b", "a*b", Some(true)),
            ("a\\*b", "ab", Some(false)),
            ("a?b", "a/b", Some(false)),
            ("[]a]", "]", None),
            ("[", "a", None),
            ("a[", "a", None),
            ("a\\", "a", None),
            ("*x", "xxx", Some(true)),
            ("busy*:latest", "busybox:latest", Some(true)),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
