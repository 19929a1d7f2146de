//! Streams of progress: pull, import, load.
//!
//! A failure before the first message is an answer with its own status; after it the status is 200 already, and
//! the failure is the last message. The work goes on when the client leaves.

use std::future::Future;

use bytes::Bytes;
use http::StatusCode;
use onggi_api::stream::Message;
use onggi_http::body;
use onggi_model::{ErrorKind, Fault, chain};
use tokio::sync::mpsc;

use crate::call::{Reply, typed};
use crate::failure::Failure;

/// How many messages may wait for a slow client before the work waits with them.
const QUEUE: usize = 64;

/// Whether the work needs somebody who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// It goes on for whoever comes next.
    Welcome,
    /// Without a client it is for nobody: the sink closes.
    Needed,
}

/// Runs `work` with a sink for messages and streams them. `legacy` is for clients before 1.52.
pub(crate) async fn stream<T, F, Fut>(
    what: &'static str,
    legacy: bool,
    work: impl FnOnce(mpsc::Sender<Message>) -> Fut,
) -> Reply
where
    T: Send + 'static,
    F: Fault + Send + 'static,
    Fut: Future<Output = Result<T, F>> + Send + 'static,
{
    stream_to(Client::Welcome, what, legacy, work).await
}

/// As [`stream`], for work that may need its client.
pub(crate) async fn stream_to<T, F, Fut>(
    client: Client,
    what: &'static str,
    legacy: bool,
    work: impl FnOnce(mpsc::Sender<Message>) -> Fut,
) -> Reply
where
    T: Send + 'static,
    F: Fault + Send + 'static,
    Fut: Future<Output = Result<T, F>> + Send + 'static,
{
    let (send, mut messages) = mpsc::channel(QUEUE);
    let task = onggi_rt::spawn(what, work(send));
    let failed = move || {
        Failure::new(
            ErrorKind::Internal,
            format!("{what}: the daemon failed at this; see its log"),
        )
    };
    let Some(first) = messages.recv().await else {
        return match task.await {
            Ok(Some(Ok(_))) => Ok(typed(StatusCode::OK, "application/json", body::empty())),
            Ok(Some(Err(fault))) => Err(fault.into()),
            Ok(None) | Err(_) => Err(failed()),
        };
    };
    let (out, chunks) = mpsc::channel::<Bytes>(QUEUE);
    onggi_rt::spawn("relay progress", async move {
        let mut gone = out.send(first.encode(legacy)).await.is_err();
        loop {
            if gone && client == Client::Needed {
                messages.close();
            }
            let message = tokio::select! {
                message = messages.recv() => message,
                () = out.closed(), if !gone => {
                    gone = true;
                    continue;
                }
            };
            let Some(message) = message else { break };
            // Read on for a client that is gone: the work must not wait for it.
            gone = gone || out.send(message.encode(legacy)).await.is_err();
        }
        let failure = match task.await {
            Ok(Some(Ok(_))) => return,
            Ok(Some(Err(fault))) => Message::failed(chain(&fault), fault.exit()),
            Ok(None) | Err(_) => Message::failure(failed().message),
        };
        if !gone {
            let _ = out.send(failure.encode(legacy)).await;
        }
    });
    Ok(typed(
        StatusCode::OK,
        "application/json",
        body::channel(chunks),
    ))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use onggi_api::DecodeError;

    use super::*;

    async fn text(reply: Reply) -> String {
        let bytes = reply
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn failures_come_as_status_or_as_last_message() {
        let early = stream("test", false, |_| async {
            Err::<(), _>(DecodeError::Trailing)
        })
        .await;
        assert_eq!(early.unwrap_err().kind, ErrorKind::InvalidParameter);
        let late = stream("test", false, |sink| async move {
            sink.send(Message::status("", "one")).await.unwrap();
            Err::<(), _>(DecodeError::Trailing)
        });
        assert_eq!(
            text(late.await).await,
            "{\"status\":\"one\"}\r\n{\"errorDetail\":{\"message\":\"unexpected content after JSON\"}}\r\n"
        );
        let silent = stream("test", false, |_| async { Ok::<_, DecodeError>(()) });
        assert_eq!(text(silent.await).await, "");
    }

    #[tokio::test]
    async fn the_work_goes_on_without_its_client() {
        let (done, finished) = tokio::sync::oneshot::channel();
        let reply = stream("test", false, |sink| async move {
            for n in 0..QUEUE * 4 {
                let _ = sink.send(Message::status("", n.to_string())).await;
            }
            done.send(()).unwrap();
            Ok::<_, DecodeError>(())
        });
        drop(reply.await);
        finished.await.unwrap();
    }
}
