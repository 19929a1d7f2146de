//! `resize`: the window size of a container's terminal.

use onggi_monitor::protocol::ToMonitor;

use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Sets the size of the terminal, in characters.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the container does not run.
    pub async fn container_resize(&self, id: &str, rows: u16, cols: u16) -> Result<()> {
        let container = self.inner.containers.find(id)?;
        let Some(task) = container.task() else {
            return Err(Error::conflict(format!(
                "Container {} is not running",
                container.id
            )));
        };
        task.send(&ToMonitor::Resize { rows, cols }, Vec::new())
            .await?;
        let attributes = [
            ("height".to_owned(), rows.to_string()),
            ("width".to_owned(), cols.to_string()),
        ];
        self.container_event(&container.record(), "resize", attributes);
        Ok(())
    }
}
