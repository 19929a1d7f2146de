//! The command that was meant by a mistyped word.

/// Those of `words` that are at most two edits and a third of its letters away from `typed`, or begin with it; the nearest first.
pub(crate) fn suggest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = words
        .into_iter()
        .filter_map(|word| {
            let distance = distance(typed, word);
            // In a short word two other letters are another word.
            let close = distance <= 2 && distance * 3 <= typed.chars().count();
            let begun = typed.len() > 1 && word.starts_with(typed);
            (close || begun).then_some((distance, word))
        })
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().map(|(_, word)| word).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn typos_are_understood() {
        let words = [
            "run", "rm", "rmi", "ps", "images", "inspect", "start", "stop",
        ];
        assert_eq!(suggest("rnu", words)[0], "run");
        assert_eq!(suggest("imags", words), ["images"]);
        assert_eq!(suggest("insp", words), ["inspect"]);
        assert!(suggest("frobnicate", words).is_empty());
        assert!(suggest("p", ["images"]).is_empty());
        assert!(suggest("nope", ["top", "node"]).contains(&"node"));
        assert!(suggest("nope", ["top"]).is_empty());
    }
}
