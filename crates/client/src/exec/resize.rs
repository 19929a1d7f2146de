//! `POST /exec/{id}/resize`.

use crate::{Client, Result};

impl Client {
    /// Tells the terminal of a process its size.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when the process does not run.
    pub async fn exec_resize(&self, id: &str, rows: u16, columns: u16) -> Result<()> {
        self.post(&format!("/exec/{id}/resize"))
            .query("h", rows.to_string())
            .query("w", columns.to_string())
            .done()
            .await
            .map(drop)
    }
}
