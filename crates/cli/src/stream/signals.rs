//! Signals to the container, and sizes to its terminal.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use onggi_client::Client;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::terminal;
use crate::error::Result;

/// Signals that are passed on. Those about our own children, broken pipes and the terminal's job control in the
/// background are not.
const FORWARDED: [(i32, &str); 15] = [
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (16, "STKFLT"),
    (18, "CONT"),
    (20, "TSTP"),
    (26, "VTALRM"),
    (27, "PROF"),
    (28, "WINCH"),
    (29, "IO"),
    (30, "PWR"),
];

/// Those by which the user means us, when the container does not care: SIGINT and SIGTERM.
const ENDING: [i32; 2] = [2, 15];
/// At how many of them we end, as Docker's command line does.
const ENOUGH: u32 = 3;

/// Ends the program; the container goes on.
fn leave() -> ! {
    terminal::restore();
    let text = format!("\ngot {ENOUGH} SIGTERM/SIGINTs, forcefully exiting\n");
    // Nobody may be left to read it.
    let _ = std::io::stderr().write_all(text.as_bytes());
    std::process::exit(1)
}

/// Tasks that end with this value.
pub(crate) struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Passes signals on to a container.
pub(crate) fn forward(client: &Client, container: &str) -> Result<Tasks> {
    let mut tasks = Vec::new();
    let asked = Arc::new(AtomicU32::new(0));
    for (number, name) in FORWARDED {
        let mut signals = signal(SignalKind::from_raw(number))?;
        let (client, container) = (client.clone(), container.to_owned());
        let asked = Arc::clone(&asked);
        tasks.push(tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if ENDING.contains(&number) && asked.fetch_add(1, Ordering::Relaxed) + 1 == ENOUGH {
                    leave();
                }
                // A container that does not run any more cannot be signalled, which is no news.
                let _ = client.container_kill(&container, name).await;
            }
        }));
    }
    Ok(Tasks(tasks))
}

/// Whose terminal it is.
#[derive(Debug, Clone)]
pub(crate) enum Tty {
    Container(String),
    Exec(String),
}

/// Tells the terminal its size now and whenever it changes.
pub(crate) fn resize(client: &Client, tty: Tty) -> Result<Tasks> {
    let mut changes: Signal = signal(SignalKind::window_change())?;
    let client = client.clone();
    let task = tokio::spawn(async move {
        // The process may need a moment until its terminal is there.
        for attempt in 0..10_u64 {
            if tell(&client, &tty).await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10 * (attempt + 1))).await;
        }
        while changes.recv().await.is_some() {
            tell(&client, &tty).await;
        }
    });
    Ok(Tasks(vec![task]))
}

async fn tell(client: &Client, tty: &Tty) -> bool {
    let Some((rows, columns)) = terminal::size() else {
        return true;
    };
    match tty {
        Tty::Container(id) => client.container_resize(id, rows, columns).await.is_ok(),
        Tty::Exec(id) => client.exec_resize(id, rows, columns).await.is_ok(),
    }
}
