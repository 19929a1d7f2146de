//! `GET /containers/{id}/attach/ws`: the connection becomes a websocket that carries the container's streams.
//!
//! As with dockerd, both outputs come as one: messages have no room for the name of a stream.

use bytes::Bytes;
use onggi_api::container::AttachOptions;
use onggi_api::stream::Frames;
use onggi_http::websocket::{self, Gone, Incoming, Kind, Outgoing};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::call::{Call, Reply};

/// Bytes on their way between an attach and its messages.
const ON_THE_WAY: usize = 32 * 1024;

pub(crate) async fn handle(call: Call) -> Reply {
    // Which streams are wanted is heard since 1.42; before, it was always all.
    let wanted = |stream| call.before(1, 42) || call.flag(stream);
    let options = AttachOptions {
        stdin: wanted("stdin"),
        stdout: wanted("stdout"),
        stderr: wanted("stderr"),
        stream: call.flag("stream"),
        logs: call.flag("logs"),
        detach_keys: call.given("detachKeys"),
    };
    let kind = match call.before(1, 28) {
        true => Kind::Text,
        false => Kind::Binary,
    };
    let attach = call.engine.container_attach(call.id(), options).await?;
    let framed = !attach.tty;
    let answer = websocket::upgrade(
        &call.headers,
        call.peer,
        move |incoming, outgoing| async move {
            let (near, far) = tokio::io::duplex(ON_THE_WAY);
            let carry = carry(incoming, outgoing, near, kind, framed);
            tokio::join!(attach.run(far), carry);
        },
    );
    Ok(answer?)
}

/// Carries messages both ways until the container or the client has ended.
async fn carry(
    mut incoming: Incoming,
    mut outgoing: Outgoing,
    streams: DuplexStream,
    kind: Kind,
    framed: bool,
) {
    let (mut output, mut input) = tokio::io::split(streams);
    let inwards = async {
        while let Some(bytes) = incoming.next().await {
            if input.write_all(&bytes).await.is_err() {
                // Nobody reads any more; the end of the output is what counts.
                return std::future::pending().await;
            }
        }
    };
    let outwards = async {
        let (mut buffer, mut frames) = (vec![0; ON_THE_WAY], framed.then(Frames::new));
        while let Ok(count @ 1..) = output.read(&mut buffer).await {
            send(&mut outgoing, kind, &buffer[..count], frames.as_mut()).await?;
        }
        Ok::<_, Gone>(())
    };
    let ended = tokio::select! {
        // The client has left; what it sent last is with the container before its input ends.
        () = inwards => Err(Gone),
        ended = outwards => ended,
    };
    if ended.is_ok() {
        outgoing.close().await;
        incoming.end().await;
    }
}

/// Sends output, without the heads of frames.
async fn send(
    outgoing: &mut Outgoing,
    kind: Kind,
    bytes: &[u8],
    frames: Option<&mut Frames>,
) -> Result<(), Gone> {
    let Some(frames) = frames else {
        return outgoing.send(kind, Bytes::copy_from_slice(bytes)).await;
    };
    frames.push(bytes);
    while let Some((_, payload)) = frames.next().map_err(|_| Gone)? {
        outgoing.send(kind, payload).await?;
    }
    Ok(())
}
