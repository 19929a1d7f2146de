//! Work in another network namespace: on a fresh thread that dies after it. Nobody switches back.

use std::os::fd::{AsFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::blocking::{Error, caught};

/// Runs `work` on a new thread inside the network namespace `namespace`, and gives its result. Sockets made there
/// stay in that namespace.
///
/// # Errors
/// [`Error::Thread`] when the thread cannot be made or may not enter, [`Error::Panicked`] when the work does.
pub async fn ns_thread<T: Send + 'static>(
    what: &'static str,
    namespace: OwnedFd,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let span = tracing::debug_span!("namespace", what);
    let run = move || {
        let _entered = span.enter();
        let network = Some(LinkNameSpaceType::Network);
        let result = match move_into_link_name_space(namespace.as_fd(), network) {
            Ok(()) => caught(what, work),
            Err(errno) => Err(Error::Thread {
                what,
                message: format!("setns: {errno}"),
            }),
        };
        // The caller may have gone away; the work is done all the same.
        let _ = send.send(result);
    };
    std::thread::Builder::new()
        .name("netns".to_owned())
        .stack_size(512 * 1024)
        .spawn(run)
        .map_err(|error| Error::Thread {
            what,
            message: error.to_string(),
        })?;
    receive.await.unwrap_or(Err(Error::Cancelled { what }))
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[tokio::test]
    async fn enters_and_leaves_the_caller_where_it_was() {
        let here = || std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let own: OwnedFd = std::fs::File::open("/proc/thread-self/ns/net")
            .unwrap()
            .into();
        let inside = ns_thread("look around", own, here).await;
        match inside {
            Ok(inside) => assert_eq!(inside, here()),
            // Entering even the own namespace takes CAP_SYS_ADMIN.
            Err(Error::Thread { message, .. }) => assert!(message.contains("setns"), "{message}"),
            Err(other) => panic!("{other}"),
        }
        let file: OwnedFd = std::fs::File::open("/proc/self/status").unwrap().into();
        assert!(matches!(
            ns_thread("no namespace", file, || ()).await,
            Err(Error::Thread { .. })
        ));
    }
}
