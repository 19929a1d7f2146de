//! Commands that run in a container after its start and before its stop.

use onggi_api::exec::{CreateRequest, StartRequest};
use onggi_client::Client;

use super::Failure;
use crate::request::environment;
use crate::service::{Hook, Service};

/// How much of what a hook writes is told when it fails.
const TOLD: usize = 4096;

/// Runs what is to run after the start.
pub(super) async fn after_start(
    client: &Client,
    id: &str,
    service: &Service,
) -> Result<(), Failure> {
    run(client, id, &service.post_start, "post_start").await
}

/// Runs what is to run before the stop; a container that does not run any more needs none of it.
pub(super) async fn before_stop(
    client: &Client,
    id: &str,
    service: &Service,
) -> Result<(), Failure> {
    if service.pre_stop.is_empty() || !runs(client, id).await? {
        return Ok(());
    }
    run(client, id, &service.pre_stop, "pre_stop").await
}

async fn runs(client: &Client, id: &str) -> Result<bool, Failure> {
    match client.container_inspect(id, false).await {
        Err(error) if error.is_not_found() => Ok(false),
        other => Ok(other?
            .pointer("/State/Running")
            .and_then(serde_json::Value::as_bool)
            == Some(true)),
    }
}

async fn run(client: &Client, id: &str, hooks: &[Hook], kind: &str) -> Result<(), Failure> {
    for hook in hooks {
        let request = CreateRequest {
            user: hook.user.clone(),
            privileged: hook.privileged,
            env: environment(&hook.environment),
            working_dir: hook.working_dir.clone(),
            cmd: hook.command.clone(),
            attach_stdout: true,
            attach_stderr: true,
            ..CreateRequest::default()
        };
        let exec = client.exec_create(id, &request).await?;
        let (mut output, _input) = client
            .exec_attach(&exec, &StartRequest::default())
            .await?
            .split();
        let (mut all, mut buffer) = (Vec::new(), Vec::new());
        let mut read = async || {
            output
                .read(&mut buffer)
                .await
                .map(|_| std::mem::take(&mut buffer))
        };
        loop {
            let some = read()
                .await
                .map_err(|error| Failure::Other(error.to_string()))?;
            if some.is_empty() {
                break;
            }
            if all.len() < TOLD {
                all.extend(some);
            }
        }
        let code = client
            .exec_inspect(&exec)
            .await?
            .exit_code
            .unwrap_or_default();
        if code != 0 {
            let said = text(&all);
            let words = hook.command.clone().unwrap_or_default().join(" ");
            return Err(Failure::Other(format!(
                "{kind} hook \"{words}\" exited with status {code}{said}"
            )));
        }
    }
    Ok(())
}

/// What was written, without the frames around it.
fn text(bytes: &[u8]) -> String {
    let mut all = Vec::new();
    let mut rest = bytes;
    while let [1 | 2, 0, 0, 0, a, b, c, d, tail @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (body, after) = tail.split_at(length.min(tail.len()));
        all.extend(body);
        rest = after;
    }
    let said = String::from_utf8_lossy(&all);
    let said = said.trim();
    if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn frames_are_taken_off() {
        assert_eq!(
            text(b"\x01\0\0\0\0\0\0\x03abc\x02\0\0\0\0\0\0\x02de"),
            ": abcde"
        );
        assert_eq!(text(b""), "");
    }
}
