//! `rename`: another name for the same container.

use onggi_model::check_container_name;

use super::has_names;
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Gives a container another name.
    ///
    /// # Errors
    /// `NotFound`; `InvalidParameter` for a bad name or its own; `Conflict` for one that is taken.
    pub async fn container_rename(&self, id: &str, name: &str) -> Result<()> {
        let container = self.inner.containers.find(id)?;
        let name = name.strip_prefix('/').unwrap_or(name);
        if name.is_empty() {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        check_container_name(name).map_err(|fault| Error::of(&fault))?;
        let _writer = container.writer.lock().await;
        let old = container.record().name.clone();
        if old == name {
            return Err(Error::invalid(
                "Renaming a container with the same name as its current name",
            ));
        }
        self.inner
            .containers
            .reserve(name, &container.id)
            .map_err(|fault| fault.context("Error when allocating new name"))?;
        if let Err(fault) = self
            .commit(&container, |record| record.name = name.to_owned())
            .await
        {
            self.inner.containers.release(name);
            return Err(fault);
        }
        self.inner.containers.release(&old);
        self.inner.networks.name(&container.id, name);
        let attributes = [("oldName".to_owned(), format!("/{old}"))];
        let record = container.record();
        if record.state.is_running() && record.endpoints.iter().any(has_names) {
            self.know_names(&record, &record.endpoints);
        }
        self.container_event(&record, "rename", attributes);
        Ok(())
    }
}
