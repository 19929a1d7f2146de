//! Archives that the daemon fetches itself to make images of.

use std::time::{Duration, Instant};

use onggi_api::stream::Message;
use onggi_registry::Download;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use super::{parse_platform, reference_of};
use crate::Engine;
use crate::error::{Error, Result};

/// How often the progress is told.
const TICK: Duration = Duration::from_millis(100);

impl Engine {
    /// Makes an image of one layer out of a tar on the web; its id is the last message. The tar is unpacked as it comes.
    ///
    /// # Errors
    /// `InvalidParameter` for a bad address, name, instruction or archive; as the server says; what the disk says.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parameters of the endpoint, one each"
    )]
    pub async fn image_import_from(
        &self,
        address: &str,
        repository: &str,
        tag: &str,
        message: &str,
        changes: Vec<String>,
        platform: Option<String>,
        client: mpsc::Sender<Message>,
    ) -> Result<()> {
        // What is wrong without it is said before it is fetched.
        if !repository.is_empty() {
            reference_of(repository, tag)?;
        }
        parse_platform(platform.clone())?;
        let registry = self.inner.images.registry().clone();
        let download = registry
            .download(address)
            .await
            .map_err(|e| Error::of(&e))?;
        let from = download.url();
        let heading = Message::status("", format!("Downloading from {from}"));
        // A client that left stops nothing.
        let _ = client.send(heading).await;
        let message = match message {
            "" => format!("Imported from {from}"),
            message => message.to_owned(),
        };
        let coming = Coming {
            total: number(download.size().unwrap_or(0)),
            download,
            current: 0,
            told: Instant::now(),
            client: client.clone(),
        };
        let chunks = futures_util::stream::try_unfold(coming, Coming::next);
        let tar = StreamReader::new(Box::pin(chunks));
        self.image_import(tar, repository, tag, &message, changes, platform, client)
            .await
    }
}

/// What comes, and to whom it is told.
struct Coming {
    download: Download,
    current: i64,
    total: i64,
    told: Instant,
    client: mpsc::Sender<Message>,
}

impl Coming {
    async fn next(mut self) -> std::io::Result<Option<(bytes::Bytes, Coming)>> {
        let chunk = self.download.next().await?;
        self.current += number(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64));
        if chunk.is_none() || self.told.elapsed() >= TICK {
            self.told = Instant::now();
            // Bars are left out for a client that is slow.
            let bar = Message::progress("", "Importing", self.current, self.total);
            let _ = self.client.try_send(bar);
        }
        Ok(chunk.map(|chunk| (chunk, self)))
    }
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
