//! HTTP/1.1 over any stream, enough for tests: one exchange a connection, bodies by length, chunks, or until the end.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};

/// What is sent.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Method, as `POST`.
    pub method: &'a str,
    /// Path with query.
    pub path: &'a str,
    /// Headers beside `Host`, `Connection` and `Content-Length`.
    pub headers: Vec<(&'a str, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl<'a> Request<'a> {
    /// A request without a body.
    pub fn new(method: &'a str, path: &'a str) -> Self {
        Self {
            method,
            path,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", kind)
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// When the stream fails or the answer is not HTTP.
    pub fn send(&self, mut stream: impl Read + Write) -> Result<Response> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.method,
            self.path,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let message = [head.as_bytes(), &self.body].concat();
        stream.write_all(&message).context("send the request")?;
        Response::read(&mut BufReader::new(stream), self.method)
    }
}

/// What comes back.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body, chunks joined.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}, body {:?}", self.status, self.text()))
    }

    /// The answer, if the status is one of success.
    ///
    /// # Errors
    /// With status and body otherwise.
    pub fn ok(self) -> Result<Self> {
        if (200..400).contains(&self.status) {
            return Ok(self);
        }
        bail!("status {}: {}", self.status, self.text())
    }

    fn read(stream: &mut impl BufRead, method: &str) -> Result<Self> {
        let (status, headers) = loop {
            let (status, headers) = head(stream)?;
            // 100 Continue is followed by the real one.
            if status != 100 {
                break (status, headers);
            }
        };
        let mut response = Self {
            status,
            headers,
            body: Vec::new(),
        };
        if method == "HEAD" || status == 204 || status == 304 {
            return Ok(response);
        }
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = chunks(stream)?;
        } else if let Some(length) = response.header("content-length") {
            let length: u64 = length.parse().context("content-length")?;
            stream
                .take(length)
                .read_to_end(&mut response.body)
                .context("read the body")?;
            if response.body.len() as u64 != length {
                bail!("body of {} bytes instead of {length}", response.body.len());
            }
        } else {
            stream
                .read_to_end(&mut response.body)
                .context("read the body")?;
        }
        Ok(response)
    }
}

/// The first line's status, and the headers.
fn head(stream: &mut impl BufRead) -> Result<(u16, Vec<(String, String)>)> {
    let first = line(stream)?;
    let status = first.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.with_context(|| format!("not an HTTP answer: {first:?}"))?;
    let mut headers = Vec::new();
    loop {
        let text = line(stream)?;
        if text.is_empty() {
            return Ok((status, headers));
        }
        if let Some((name, value)) = text.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

fn chunks(stream: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let text = line(stream)?;
        let digits = text.split(';').next().unwrap_or_default().trim();
        let size =
            usize::from_str_radix(digits, 16).with_context(|| format!("chunk size {text:?}"))?;
        let start = body.len();
        body.resize(start + size, 0);
        stream
            .read_exact(&mut body[start..])
            .context("read a chunk")?;
        line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut text = String::new();
    if stream.read_line(&mut text).context("read a line")? == 0 {
        bail!("the connection ended early");
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(text: &str) -> Result<Response> {
        Response::read(&mut Cursor::new(text), "GET")
    }

    #[test]
    fn bodies_come_by_length_by_chunks_and_to_the_end() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcd";
        assert_eq!(read(text).expect("reads").body, b"ab");
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        let response = read(text).expect("reads");
        assert_eq!((response.status, response.text().as_str()), (201, "abcd"));
        assert_eq!(
            read("HTTP/1.0 500 no\r\n\r\nrest").expect("reads").text(),
            "rest"
        );
    }

    #[test]
    fn cut_answers_are_errors() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "nonsense\r\n\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
