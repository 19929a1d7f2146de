//! What follows the question mark, decoded; and paths, decoded.

use percent_encoding::percent_decode_str;

/// The parameters of a request, in order; a key may come several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d%20e`. Bytes that are no UTF-8 become the replacement character.
    pub fn parse(text: &str) -> Self {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        };
        Self(
            text.split('&')
                .filter(|p| !p.is_empty())
                .map(pair)
                .collect(),
        )
    }

    /// The first value of a key; `None` when the key is not there.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// The first value of a key; empty when the key is not there.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    /// All values of a key.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// A path, decoded; `None` when it is not UTF-8 or holds a NUL.
pub fn decode_path(path: &str) -> Option<String> {
    let path = percent_decode_str(path).decode_utf8().ok()?.into_owned();
    (!path.contains('\0')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_and_keeps_order() {
        let query = Query::parse("a=1&b=x%20y+z&a=2&flag&=&e=%7B%22k%22%3A%5B%5D%7D");
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.text("b"), "x y z");
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.text("e"), "{\"k\":[]}");
        assert_eq!(query.get("none"), None);
        assert_eq!(Query::parse(""), Query::default());
        assert_eq!(decode_path("/a%2Fb"), Some("/a/b".to_owned()));
        assert_eq!(decode_path("/a%00b"), None);
        assert_eq!(decode_path("/%ff"), None);
    }
}
