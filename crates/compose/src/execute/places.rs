//! One container in the place of another.

use onggi_api::container::MovePortsRequest;
use onggi_client::container::Remove;

use super::containers::gone;
use super::{Failure, Run, Thing, Word, hooks};
use crate::plan::{Replaced, Target};

impl Run<'_> {
    /// Docker Compose's way: made under another name, and given its own when the old one is gone. Whoever is killed in
    /// between leaves what the next `up` understands.
    pub(super) async fn recreate(
        &self,
        target: &Target,
        old: &Replaced,
        timeout: Option<i64>,
    ) -> Result<(), Failure> {
        let (application, service) = self.of(target)?;
        self.tell(Thing::Container, &target.name, Word::Recreate, "");
        let making = self.making(
            target,
            temporary(target, old),
            Some(old),
            Some(old.target.name.clone()),
        );
        let id = self.make(application, service, making, &[]).await?;
        self.finish(target, old, &id, timeout).await?;
        self.tell(Thing::Container, &target.name, Word::Recreated, "");
        Ok(())
    }

    /// The old one goes, the new one gets its name.
    async fn finish(
        &self,
        target: &Target,
        old: &Replaced,
        id: &str,
        timeout: Option<i64>,
    ) -> Result<(), Failure> {
        if old.runs {
            self.end(&old.target, timeout).await?;
        }
        let remove = Remove {
            force: true,
            ..Remove::default()
        };
        gone(
            self.client
                .container_remove(old.target.reference(), remove)
                .await,
        )?;
        self.client.container_rename(id, &target.name).await?;
        self.learn(target, id);
        Ok(())
    }

    /// The new one works before the old one ends.
    pub(super) async fn replace(
        &self,
        target: &Target,
        old: &Replaced,
        timeout: Option<i64>,
    ) -> Result<(), Failure> {
        let (application, service) = self.of(target)?;
        self.tell(Thing::Container, &target.name, Word::Recreate, "");
        let fixed = service
            .ports
            .iter()
            .filter(|port| !port.published.is_empty());
        let fixed = fixed.map(|port| {
            let protocol = if port.protocol.is_empty() {
                "tcp"
            } else {
                &port.protocol
            };
            format!("{}/{protocol}", port.target)
        });
        let fixed: Vec<String> = fixed.collect();
        let making = self.making(
            target,
            temporary(target, old),
            Some(old),
            Some(old.target.name.clone()),
        );
        let id = self.make(application, service, making, &fixed).await?;
        let works = async {
            self.client.container_start(&id).await?;
            hooks::after_start(self.client, &id, service).await?;
            self.ready(&id, &target.name).await?;
            match fixed.is_empty() {
                true => Ok(()),
                false => self.move_ports(old.target.reference(), &id).await,
            }
        };
        if let Err(failure) = works.await {
            let away = Remove {
                force: true,
                ..Remove::default()
            };
            // The old one goes on.
            let _ = self.client.container_remove(&id, away).await;
            return Err(failure);
        }
        self.finish(target, old, &id, timeout).await?;
        self.tell(Thing::Container, &target.name, Word::Started, "");
        Ok(())
    }

    pub(super) async fn move_ports(&self, from: &str, to: &str) -> Result<(), Failure> {
        let request = MovePortsRequest {
            to: to.to_owned(),
            ports: None,
        };
        self.client.container_move_ports(from, &request).await?;
        Ok(())
    }
}

/// The name of a container that waits for its real one.
fn temporary(target: &Target, old: &Replaced) -> String {
    let id: String = old.target.reference().chars().take(12).collect();
    format!("{id}_{}", target.name)
}
