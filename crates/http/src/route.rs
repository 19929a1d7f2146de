//! The table of routes: method and pattern to handler.
//!
//! A pattern is a path of literal segments, `{id}` for one segment, and `{name...}` for one or more, anywhere:
//! image names have slashes, `images/{name...}/json`. The first row that matches wins.

use std::future::Future;
use std::pin::Pin;

use http::Method;

/// The future a handler runs as.
pub type Running<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// What a route leads to: any `async fn(C) -> R`.
pub trait Handler<C, R>: Sync {
    /// Begins to handle a call.
    fn call(&self, call: C) -> Running<R>;
}

impl<C, R, F, Fut> Handler<C, R> for F
where
    F: Fn(C) -> Fut + Sync,
    Fut: Future<Output = R> + Send + 'static,
{
    fn call(&self, call: C) -> Running<R> {
        Box::pin(self(call))
    }
}

/// One row.
pub struct Route<C: 'static, R: 'static> {
    method: Method,
    pattern: &'static str,
    since: Option<(u16, u16)>,
    until: Option<(u16, u16)>,
    handler: &'static dyn Handler<C, R>,
}

impl<C, R> Route<C, R> {
    /// A row of any method.
    pub const fn new(
        method: Method,
        pattern: &'static str,
        handler: &'static dyn Handler<C, R>,
    ) -> Self {
        Self {
            method,
            pattern,
            since: None,
            until: None,
            handler,
        }
    }

    /// There from this API version on.
    pub const fn since(mut self, major: u16, minor: u16) -> Self {
        self.since = Some((major, minor));
        self
    }

    /// There up to and with this API version.
    pub const fn until(mut self, major: u16, minor: u16) -> Self {
        self.until = Some((major, minor));
        self
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The pattern.
    pub fn pattern(&self) -> &'static str {
        self.pattern
    }
}

/// `GET`
pub const fn get<C, R>(pattern: &'static str, handler: &'static dyn Handler<C, R>) -> Route<C, R> {
    Route::new(Method::GET, pattern, handler)
}

/// `HEAD`
pub const fn head<C, R>(pattern: &'static str, handler: &'static dyn Handler<C, R>) -> Route<C, R> {
    Route::new(Method::HEAD, pattern, handler)
}

/// `POST`
pub const fn post<C, R>(pattern: &'static str, handler: &'static dyn Handler<C, R>) -> Route<C, R> {
    Route::new(Method::POST, pattern, handler)
}

/// `PUT`
pub const fn put<C, R>(pattern: &'static str, handler: &'static dyn Handler<C, R>) -> Route<C, R> {
    Route::new(Method::PUT, pattern, handler)
}

/// `DELETE`
pub const fn delete<C, R>(
    pattern: &'static str,
    handler: &'static dyn Handler<C, R>,
) -> Route<C, R> {
    Route::new(Method::DELETE, pattern, handler)
}

/// What the braces of a pattern stood for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(&'static str, String)>);

impl Params {
    /// The value of `{name}` or `{name...}`; empty when the pattern has no such part.
    pub fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(n, _)| *n == name)
            .map_or("", |(_, v)| v.as_str())
    }
}

/// A row that matched.
pub struct Found<C: 'static, R: 'static> {
    /// What to call.
    pub handler: &'static dyn Handler<C, R>,
    /// The parts in braces.
    pub params: Params,
    /// The pattern of the row.
    pub pattern: &'static str,
}

/// Several tables as one.
pub struct Router<C: 'static, R: 'static> {
    tables: Vec<&'static [Route<C, R>]>,
}

impl<C, R> Router<C, R> {
    /// Looks through the tables in this order.
    pub fn new(tables: impl Into<Vec<&'static [Route<C, R>]>>) -> Self {
        Self {
            tables: tables.into(),
        }
    }

    /// All rows.
    pub fn routes(&self) -> impl Iterator<Item = &'static Route<C, R>> {
        self.tables.iter().flat_map(|table| table.iter())
    }

    /// The row for a decoded path without leading slash, at an API version.
    pub fn find(&self, method: &Method, path: &str, version: (u16, u16)) -> Option<Found<C, R>> {
        let segments: Vec<&str> = path.split('/').collect();
        self.routes().find_map(|route| {
            let there = route.method == *method
                && route.since.is_none_or(|since| version >= since)
                && route.until.is_none_or(|until| version <= until);
            if !there {
                return None;
            }
            let mut params = Params::default();
            matches(route.pattern, &segments, &mut params).then_some(Found {
                handler: route.handler,
                params,
                pattern: route.pattern,
            })
        })
    }
}

fn matches(pattern: &'static str, segments: &[&str], params: &mut Params) -> bool {
    let (part, more) = match pattern.split_once('/') {
        Some((part, more)) => (part, Some(more)),
        None => (pattern, None),
    };
    let Some((first, rest)) = segments.split_first() else {
        return false;
    };
    let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) else {
        return part == *first
            && match more {
                Some(more) => matches(more, rest, params),
                None => rest.is_empty(),
            };
    };
    let (name, longest) = match name.strip_suffix("...") {
        Some(name) => (name, segments.len()),
        None => (name, 1),
    };
    // The longest stretch that lets the rest match: `images/a/json/json` is image `a/json`.
    for taken in (1..=longest).rev() {
        let (value, rest) = segments.split_at(taken);
        if value.iter().any(|segment| segment.is_empty()) {
            continue;
        }
        let before = params.0.len();
        params.0.push((name, value.join("/")));
        let good = match more {
            Some(more) => matches(more, rest, params),
            None => rest.is_empty(),
        };
        if good {
            return true;
        }
        params.0.truncate(before);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn list(call: u8) -> String {
        format!("list {call}")
    }
    async fn other(_: u8) -> String {
        String::new()
    }

    const ROUTES: &[Route<u8, String>] = &[
        get("containers/json", &list),
        get("containers/{id}/json", &other),
        get("images/json", &other),
        get("images/{name...}/json", &other),
        get("images/{name...}/history", &other).since(1, 41),
        delete("images/{name...}", &other),
        post("exec/{id}/start", &other).until(1, 30),
    ];

    fn found(method: Method, path: &str, version: (u16, u16)) -> Option<(String, String, String)> {
        let router = Router::new([ROUTES]);
        router.find(&method, path, version).map(|f| {
            let (id, name) = (
                f.params.get("id").to_owned(),
                f.params.get("name").to_owned(),
            );
            (f.pattern.to_owned(), id, name)
        })
    }

    #[test]
    fn patterns_match_as_documented() {
        let get = |path| found(Method::GET, path, (1, 55)).map(|(p, id, name)| (p, id + &name));
        let is = |pattern: &str, value: &str| Some((pattern.to_owned(), value.to_owned()));
        assert_eq!(get("containers/json"), is("containers/json", ""));
        assert_eq!(
            get("containers/abc/json"),
            is("containers/{id}/json", "abc")
        );
        assert_eq!(get("containers/a/b/json"), None);
        assert_eq!(get("containers//json"), None);
        assert_eq!(get("images/json"), is("images/json", ""));
        assert_eq!(
            get("images/a/b:1/json"),
            is("images/{name...}/json", "a/b:1")
        );
        assert_eq!(
            get("images/a/json/json"),
            is("images/{name...}/json", "a/json")
        );
        assert_eq!(get("images//json"), None);
        assert_eq!(get("images/a/json/"), None);
        assert_eq!(get(""), None);
        assert!(found(Method::DELETE, "images/localhost:5000/a", (1, 24)).is_some());
        assert!(found(Method::HEAD, "containers/json", (1, 24)).is_none());
    }

    #[test]
    fn versions_hide_rows() {
        assert!(found(Method::GET, "images/a/history", (1, 40)).is_none());
        assert!(found(Method::GET, "images/a/history", (1, 41)).is_some());
        assert!(found(Method::POST, "exec/a/start", (1, 30)).is_some());
        assert!(found(Method::POST, "exec/a/start", (1, 31)).is_none());
    }

    #[tokio::test]
    async fn handlers_run() {
        let found = Router::new([ROUTES])
            .find(&Method::GET, "containers/json", (1, 55))
            .unwrap();
        assert_eq!(found.handler.call(3).await, "list 3");
    }
}
