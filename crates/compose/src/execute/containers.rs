//! Containers: made, started, stopped, removed.

use onggi_api::network::ConnectRequest;
use onggi_client::container::{Create, Remove};
use onggi_client::{Error, Version};

use super::{Failure, Run, Thing, Word, hooks, tar};
use crate::labels;
use crate::plan::{Replaced, Target};
use crate::request::{self, Making};
use crate::service::{Application, Service};

/// From here on a container is made in all its networks at once.
const ALL_AT_ONCE: Version = Version(1, 44);

/// What is gone already need not go.
pub(super) fn gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

impl<'a> Run<'a> {
    pub(super) fn of(&self, target: &Target) -> Result<(&'a Application, &'a Service), Failure> {
        let found = self
            .application
            .and_then(|one| Some((one, one.services.get(&target.service)?)));
        found.ok_or_else(|| Failure::Other(format!("no such service: {}", target.service)))
    }

    pub(super) async fn create(
        &self,
        target: &Target,
        inherits: Option<&Replaced>,
    ) -> Result<(), Failure> {
        let (application, service) = self.of(target)?;
        self.tell(Thing::Container, &target.name, Word::Creating, "");
        let making = self.making(target, target.name.clone(), inherits, None);
        let id = self.make(application, service, making, &[]).await?;
        self.learn(target, &id);
        self.tell(Thing::Container, &target.name, Word::Created, "");
        Ok(())
    }

    pub(super) fn making(
        &self,
        target: &Target,
        name: String,
        inherits: Option<&Replaced>,
        replaces: Option<String>,
    ) -> Making {
        Making {
            name,
            number: target.number,
            inherited: inherits.map(|old| old.mounts.clone()).unwrap_or_default(),
            known: self.known(),
            replaces,
            aliases: true,
            ..Making::default()
        }
    }

    /// Makes a container; `without` are ports that it does not publish yet.
    pub(crate) async fn make(
        &self,
        application: &Application,
        service: &Service,
        mut making: Making,
        without: &[String],
    ) -> Result<String, Failure> {
        let image = self.image(&service.image_name(&application.name)).await?;
        making.image_volumes = image.volumes();
        making.image_id = image.id;
        let mut create = request::container(application, service, &making)?;
        let files = request::copied(application, service)?;
        if let Some(host) = create
            .request
            .host_config
            .as_mut()
            .filter(|_| !without.is_empty())
        {
            let bound = host.port_bindings.take().unwrap_or_default();
            let kept = bound.iter().filter(|(port, _)| !without.contains(port));
            host.port_bindings = Some(kept.collect());
        }
        let later = match self.client.version().await? < ALL_AT_ONCE {
            true => connected_later(&mut create),
            false => Vec::new(),
        };
        let id = self.create_anew(&create).await?;
        let finished = async {
            for (network, request) in later {
                let request = ConnectRequest {
                    container: id.clone(),
                    ..request
                };
                self.client.network_connect(&network, &request).await?;
            }
            match files.is_empty() {
                true => Ok(()),
                false => self.copy(&id, &files).await,
            }
        };
        if let Err(failure) = finished.await {
            let away = Remove {
                force: true,
                volumes: true,
                link: false,
            };
            // What it failed with is what counts.
            let _ = self.client.container_remove(&id, away).await;
            return Err(failure);
        }
        Ok(id)
    }

    /// Makes a container. One that a killed command asked for and that came only now makes room.
    async fn create_anew(&self, create: &Create) -> Result<String, Failure> {
        match self.client.container_create(create).await {
            Err(error) if error.status() == Some(409) && self.is_stray(create).await => {
                let away = Remove {
                    force: true,
                    ..Remove::default()
                };
                gone(self.client.container_remove(&create.name, away).await)?;
                Ok(self.client.container_create(create).await?.id)
            }
            other => Ok(other?.id),
        }
    }

    /// Is what has the name already the same container of the same project, and was it never started?
    async fn is_stray(&self, create: &Create) -> bool {
        let Ok(json) = self.client.container_inspect(&create.name, false).await else {
            return false;
        };
        let same = |label: &str| {
            let wanted = create
                .request
                .config
                .labels
                .as_ref()
                .and_then(|all| all.get(label));
            let theirs = json
                .pointer("/Config/Labels")
                .and_then(|all| all.get(label)?.as_str());
            wanted.is_some() && wanted.map(String::as_str) == theirs
        };
        let state = json
            .pointer("/State/Status")
            .and_then(serde_json::Value::as_str);
        state == Some("created")
            && [labels::PROJECT, labels::SERVICE, labels::NUMBER]
                .into_iter()
                .all(same)
    }

    async fn copy(&self, id: &str, files: &[request::Copied]) -> Result<(), Failure> {
        let tar = tar::of(files).map_err(|error| Failure::Other(error.to_string()))?;
        let (send, receive) = tokio::sync::mpsc::channel(1);
        // There is room for one, and this is the one.
        let _ = send.try_send(Ok(tar.into()));
        drop(send);
        Ok(self
            .client
            .container_extract(id, "/", true, receive)
            .await?)
    }

    pub(super) async fn rename(&self, target: &Target) -> Result<(), Failure> {
        self.client
            .container_rename(target.reference(), &target.name)
            .await?;
        if let Some(id) = &target.id {
            self.learn(target, id);
        }
        Ok(())
    }

    pub(super) async fn start(&self, target: &Target) -> Result<(), Failure> {
        self.tell(Thing::Container, &target.name, Word::Starting, "");
        self.client.container_start(target.reference()).await?;
        if let Some(service) = self.service(target)
            && let Err(failure) = hooks::after_start(self.client, target.reference(), service).await
        {
            // Without what the hook does it is not what it should be.
            let _ = self
                .client
                .container_stop(target.reference(), "", None)
                .await;
            return Err(failure);
        }
        self.tell(Thing::Container, &target.name, Word::Started, "");
        Ok(())
    }

    pub(super) async fn stop(&self, target: &Target, timeout: Option<i64>) -> Result<(), Failure> {
        self.tell(Thing::Container, &target.name, Word::Stopping, "");
        self.end(target, timeout).await?;
        self.tell(Thing::Container, &target.name, Word::Stopped, "");
        Ok(())
    }

    pub(super) async fn end(&self, target: &Target, timeout: Option<i64>) -> Result<(), Failure> {
        if let Some(service) = self.service(target) {
            hooks::before_stop(self.client, target.reference(), service).await?;
        }
        Ok(gone(
            self.client
                .container_stop(target.reference(), "", timeout)
                .await,
        )?)
    }

    pub(super) async fn restart(
        &self,
        target: &Target,
        timeout: Option<i64>,
    ) -> Result<(), Failure> {
        self.tell(Thing::Container, &target.name, Word::Restarting, "");
        let service = self.service(target);
        if let Some(service) = service {
            hooks::before_stop(self.client, target.reference(), service).await?;
        }
        self.client
            .container_restart(target.reference(), "", timeout)
            .await?;
        if let Some(service) = service {
            hooks::after_start(self.client, target.reference(), service).await?;
        }
        self.tell(Thing::Container, &target.name, Word::Restarted, "");
        Ok(())
    }

    pub(super) async fn kill(&self, target: &Target, signal: &str) -> Result<(), Failure> {
        self.tell(Thing::Container, &target.name, Word::Killing, "");
        gone(self.client.container_kill(target.reference(), signal).await)?;
        self.tell(Thing::Container, &target.name, Word::Killed, "");
        Ok(())
    }

    pub(super) async fn pause(&self, target: &Target) -> Result<(), Failure> {
        self.tell(Thing::Container, &target.name, Word::Pausing, "");
        self.client.container_pause(target.reference()).await?;
        self.tell(Thing::Container, &target.name, Word::Paused, "");
        Ok(())
    }

    pub(super) async fn unpause(&self, target: &Target) -> Result<(), Failure> {
        self.tell(Thing::Container, &target.name, Word::Unpausing, "");
        self.client.container_unpause(target.reference()).await?;
        self.tell(Thing::Container, &target.name, Word::Unpaused, "");
        Ok(())
    }

    pub(super) async fn remove(
        &self,
        target: &Target,
        volumes: bool,
        force: bool,
    ) -> Result<(), Failure> {
        self.tell(Thing::Container, &target.name, Word::Removing, "");
        let remove = Remove {
            force,
            volumes,
            link: false,
        };
        gone(
            self.client
                .container_remove(target.reference(), remove)
                .await,
        )?;
        self.tell(Thing::Container, &target.name, Word::Removed, "");
        Ok(())
    }
}

/// Takes all networks out of a request but the one the container is made in.
fn connected_later(create: &mut Create) -> Vec<(String, ConnectRequest)> {
    let first = create
        .request
        .host_config
        .as_ref()
        .map(|host| host.network_mode.clone());
    let endpoints = create.request.networking_config.as_mut();
    let Some(endpoints) = endpoints.and_then(|config| config.endpoints_config.as_mut()) else {
        return Vec::new();
    };
    let names: Vec<String> = endpoints
        .keys()
        .filter(|name| Some(*name) != first.as_ref())
        .cloned()
        .collect();
    let later = names.into_iter().map(|name| {
        let endpoint_config = endpoints.remove(&name).flatten();
        let request = ConnectRequest {
            endpoint_config,
            ..ConnectRequest::default()
        };
        (name, request)
    });
    let later = later.collect();
    // Who is that old has the address of the link at the container.
    if let Some(Some(endpoint)) = endpoints.values().next() {
        create
            .request
            .config
            .mac_address
            .clone_from(&endpoint.mac_address);
    }
    later
}
