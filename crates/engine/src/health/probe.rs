//! One run of a health check: an exec whose output is kept, up to a limit, and whose time is limited.

use std::sync::Arc;

use onggi_api::container::HealthcheckResult;
use onggi_api::exec::{CreateRequest, StartRequest};
use onggi_api::stream::Frames;
use onggi_model::Timestamp;
use onggi_model::units::go_duration;
use tokio::io::AsyncReadExt;

use crate::Engine;
use crate::container::Container;
use crate::error::Result;

/// How much of the output is kept.
const OUTPUT: usize = 4096;

/// What a probe wrote, cut at the limit.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    cut: bool,
}

impl Output {
    fn push(&mut self, bytes: &[u8]) {
        let room = OUTPUT - self.bytes.len();
        self.cut |= bytes.len() > room;
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.cut {
            text.push_str("...");
        }
        text
    }
}

/// Runs the check of a container once.
pub(super) async fn run(engine: Engine, container: Arc<Container>) -> HealthcheckResult {
    let start = Timestamp::now();
    let (exit_code, output) = match attempt(&engine, &container).await {
        Ok(ended) => ended,
        Err(fault) => (-1, fault.to_string()),
    };
    HealthcheckResult {
        start: start.to_string(),
        end: Timestamp::now().to_string(),
        exit_code,
        output,
    }
}

async fn attempt(engine: &Engine, container: &Arc<Container>) -> Result<(i32, String)> {
    let record = container.record();
    let request = CreateRequest {
        cmd: super::command(&record.config),
        attach_stdout: true,
        attach_stderr: true,
        ..CreateRequest::default()
    };
    let exec = engine.exec_create(container.id.as_str(), request).await?.id;
    let result = follow(engine, container, &exec).await;
    engine.forget_exec(&exec);
    result
}

async fn follow(engine: &Engine, container: &Container, exec: &str) -> Result<(i32, String)> {
    let limit = super::timeout(&container.record().config);
    let session = engine.exec_start(exec, StartRequest::default()).await?;
    let mut output = Output::default();
    let ended = {
        let (client, mut ours) = tokio::io::duplex(OUTPUT);
        let relay = session.run(client);
        let collect = async {
            let (mut frames, mut buffer) = (Frames::new(), [0; OUTPUT]);
            while let Ok(count @ 1..) = ours.read(&mut buffer).await {
                frames.push(&buffer[..count]);
                while let Ok(Some((_, piece))) = frames.next() {
                    output.push(&piece);
                }
            }
        };
        tokio::time::timeout(limit, futures_util::future::join(relay, collect)).await
    };
    if ended.is_err() {
        engine.kill_exec(container, exec).await;
        let mut text = format!("Health check exceeded timeout ({})", go_duration(limit));
        if !output.bytes.is_empty() {
            text = format!("{text}: {}", output.text());
        }
        return Ok((-1, text));
    }
    let code = engine.exec_inspect(exec).await?.exit_code.unwrap_or(-1);
    Ok((code, output.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut() {
        let mut output = Output::default();
        output.push(&[b'x'; OUTPUT - 1]);
        output.push(b"y");
        assert_eq!(output.text().len(), OUTPUT);
        output.push(b"");
        assert!(!output.cut);
        output.push(b"z");
        assert!(output.text().ends_with("xy..."));
    }
}
