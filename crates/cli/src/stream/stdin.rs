//! Standard input, read by a thread of its own: a read that never returns must not hold up anything else.

use std::io::Read as _;

use bytes::Bytes;
use tokio::sync::mpsc;

/// Starts reading standard input. The channel ends with the input.
pub(crate) fn read() -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut buffer = vec![0_u8; 32 * 1024];
        let mut stdin = std::io::stdin().lock();
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => {
                    if sender
                        .blocking_send(Bytes::copy_from_slice(&buffer[..length]))
                        .is_err()
                    {
                        return;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // A terminal that went away is the end of input.
                Err(_) => return,
            }
        }
    });
    receiver
}

/// Starts reading a file or standard input for the body of a request. A failure goes along as the last item.
pub(crate) fn body(
    mut from: impl std::io::Read + Send + 'static,
) -> mpsc::Receiver<std::io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut buffer = vec![0_u8; 128 * 1024];
        loop {
            let item = match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => Ok(Bytes::copy_from_slice(&buffer[..length])),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = item.is_err();
            if sender.blocking_send(item).is_err() || failed {
                return;
            }
        }
    });
    receiver
}
