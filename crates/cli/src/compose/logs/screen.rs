//! Lines of many containers: each begins with the name of the container that wrote it, all names as wide as the widest,
//! each in a colour of its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use onggi_api::stream::Stream;

/// Colours that can be told from each other, in the order they are given.
const COLOURS: [&str; 10] = [
    "36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1",
];

/// A line that is longer is not waited for until its end.
const LONGEST: usize = 64 * 1024;

/// What is shown of many containers.
#[derive(Debug)]
pub(crate) struct Screen {
    prefixed: bool,
    coloured: bool,
    /// The names, in the order they came.
    names: Vec<String>,
    width: usize,
    /// Lines whose ends are not there yet.
    open: BTreeMap<(String, bool), Vec<u8>>,
}

impl Screen {
    pub(crate) fn new(prefixed: bool, coloured: bool) -> Self {
        Screen {
            prefixed,
            coloured,
            names: Vec::new(),
            width: 0,
            open: BTreeMap::new(),
        }
    }

    /// A container will write: there must be room for its name.
    pub(crate) fn announce(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
            self.width = self.width.max(name.chars().count());
        }
    }

    /// Takes what a container wrote; gives the lines that are complete.
    pub(crate) fn feed(
        &mut self,
        name: &str,
        stream: Stream,
        bytes: &[u8],
    ) -> Vec<(Stream, Bytes)> {
        if !self.prefixed {
            return vec![(stream, Bytes::copy_from_slice(bytes))];
        }
        self.announce(name);
        let key = (name.to_owned(), stream == Stream::Stderr);
        let mut open = self.open.remove(&key).unwrap_or_default();
        open.extend_from_slice(bytes);
        let mut out = Vec::new();
        let mut rest = &open[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.line(name, &rest[..end], &mut out);
            rest = &rest[end + 1..];
        }
        while rest.len() > LONGEST {
            self.line(name, &rest[..LONGEST], &mut out);
            rest = &rest[LONGEST..];
        }
        if !rest.is_empty() {
            self.open.insert(key, rest.to_vec());
        }
        match out.is_empty() {
            true => Vec::new(),
            false => vec![(stream, Bytes::from(out))],
        }
    }

    /// A container writes no more: its last lines have ends now.
    pub(crate) fn finish(&mut self, name: &str) -> Vec<(Stream, Bytes)> {
        let mut last = Vec::new();
        for (is_error, stream) in [(false, Stream::Stdout), (true, Stream::Stderr)] {
            if let Some(open) = self.open.remove(&(name.to_owned(), is_error)) {
                let mut out = Vec::new();
                self.line(name, &open, &mut out);
                last.push((stream, Bytes::from(out)));
            }
        }
        last
    }

    /// The name as it stands before what is no line of the container's own.
    pub(crate) fn painted(&self, name: &str) -> String {
        match self.colour(name) {
            Some(colour) => format!("\x1b[{colour}m{name}\x1b[0m"),
            None => name.to_owned(),
        }
    }

    fn colour(&self, name: &str) -> Option<&'static str> {
        let index = self.names.iter().position(|known| known == name)?;
        self.coloured.then(|| COLOURS[index % COLOURS.len()])
    }

    fn line(&self, name: &str, line: &[u8], out: &mut Vec<u8>) {
        let width = self.width;
        let prefix = match self.colour(name) {
            Some(colour) => format!("\x1b[{colour}m{name:<width$}  |\x1b[0m "),
            None => format!("{name:<width$}  | "),
        };
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pieces: Vec<(Stream, Bytes)>) -> String {
        let pieces = pieces.into_iter();
        let texts = pieces.map(|(stream, bytes)| {
            let mark = if stream == Stream::Stderr { "!" } else { "" };
            format!("{mark}{}", String::from_utf8_lossy(&bytes))
        });
        texts.collect()
    }

    #[test]
    fn lines_have_the_name_of_who_wrote_them() {
        let mut screen = Screen::new(true, false);
        screen.announce("web-1");
        screen.announce("database-1");
        let fed = text(screen.feed("web-1", Stream::Stdout, b"one\ntw"));
        assert_eq!(fed, "web-1       | one\n");
        let fed = text(screen.feed("database-1", Stream::Stderr, b"three\r\n\n"));
        assert_eq!(fed, "!database-1  | three\ndatabase-1  | \n");
        let fed = text(screen.feed("web-1", Stream::Stdout, b"o\nhalf"));
        assert_eq!(fed, "web-1       | two\n");
        assert_eq!(text(screen.finish("web-1")), "web-1       | half\n");
        assert_eq!(text(screen.finish("web-1")), "");
    }

    #[test]
    fn names_have_colours_and_lines_may_go_without() {
        let mut screen = Screen::new(true, true);
        let fed = text(screen.feed("a", Stream::Stdout, b"x\n"));
        assert_eq!(fed, "\x1b[36ma  |\x1b[0m x\n");
        let fed = text(screen.feed("b", Stream::Stdout, b"y\n"));
        assert_eq!(fed, "\x1b[33mb  |\x1b[0m y\n");
        let mut screen = Screen::new(false, true);
        assert_eq!(text(screen.feed("a", Stream::Stdout, b"half")), "half");
    }

    #[test]
    fn a_line_without_end_is_not_waited_for() {
        let mut screen = Screen::new(true, false);
        let fed = screen.feed("a", Stream::Stdout, &vec![b'x'; LONGEST * 2 + 1]);
        assert_eq!(fed[0].1.len(), 2 * (LONGEST + "a  | \n".len()));
        assert_eq!(text(screen.finish("a")), "a  | x\n");
    }
}
