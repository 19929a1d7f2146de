//! What the engine has, in as few requests as a decision needs: lists by label, then what these do not say.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use onggi_api::container::Inspect;
use onggi_client::Error;
use onggi_model::Filters;

use super::Compose;
use crate::command::Up;
use crate::execute::{self, Failure};
use crate::observe::observe;
use crate::plan::{Facts, ImageFacts, differences};
use crate::request::{self, Known, Making};
use crate::service::Application;

/// How many questions are asked at once.
const AT_ONCE: usize = 8;

impl Compose<'_> {
    /// What the engine has of a project.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn observed(&self, project: &str) -> Result<Facts, Failure> {
        Ok(Facts {
            observed: observe(self.client, project).await?,
            ..Facts::default()
        })
    }

    /// What the engine has of the images of these services.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn images_of(
        &self,
        application: &Application,
        services: &BTreeSet<String>,
    ) -> Result<Facts, Failure> {
        Ok(Facts {
            images: self.images(application, services).await?,
            ..Facts::default()
        })
    }

    /// Everything that `up` decides by.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn facts(&self, application: &Application, up: &Up) -> Result<Facts, Failure> {
        let services: BTreeSet<String> = match up.services.is_empty() {
            true => application.services.keys().cloned().collect(),
            false => crate::plan::closure(application, &up.services),
        };
        let (observed, images, ping) = futures_util::try_join!(
            observe(self.client, &application.name),
            self.images(application, &services),
            self.client.ping(),
        )?;
        let networks = observed.networks.iter().map(|one| &one.network);
        let mut networks: BTreeMap<String, _> = networks
            .map(|one| (one.name.clone(), one.clone()))
            .collect();
        let volumes = observed.volumes.iter();
        let mut volumes: BTreeMap<String, _> =
            volumes.map(|one| (one.name.clone(), one.clone())).collect();
        // What the labels do not tell of may be there all the same.
        let unseen = |names: Vec<&String>| -> Option<Filters> {
            let mut filters = Filters::default();
            names.into_iter().for_each(|name| filters.add("name", name));
            (!filters.is_empty()).then_some(filters)
        };
        let wanted = application.networks.values().map(|one| &one.name);
        if let Some(filters) = unseen(
            wanted
                .filter(|name| !networks.contains_key(*name))
                .collect(),
        ) {
            let found = self.client.network_list(&filters).await?;
            let found = found
                .into_iter()
                .map(|one| (one.network.name.clone(), one.network));
            networks.extend(found);
        }
        let wanted = application.volumes.values().map(|one| &one.name);
        if let Some(filters) = unseen(wanted.filter(|name| !volumes.contains_key(*name)).collect())
        {
            let found = self.client.volume_list(&filters).await?;
            volumes.extend(found.volumes.into_iter().map(|one| (one.name.clone(), one)));
        }
        let mut facts = Facts {
            observed,
            networks,
            volumes,
            images,
            differences: BTreeMap::new(),
            moves_ports: ping.is_onggi(),
        };
        facts.differences = self.foreign(application, &facts, &services).await?;
        Ok(facts)
    }

    async fn images(
        &self,
        application: &Application,
        services: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, ImageFacts>, Error> {
        let services = services
            .iter()
            .filter_map(|name| application.services.get(name));
        let names: BTreeSet<String> = services
            .map(|one| one.image_name(&application.name))
            .collect();
        let asked = names.into_iter().map(|name| async move {
            let found = execute::inspect(self.client, &name).await?;
            Ok::<_, Error>(found.map(|found| (name, found)))
        });
        let found = stream::iter(asked).buffer_unordered(AT_ONCE);
        let found: Vec<Option<(String, ImageFacts)>> = found.try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Containers of other programs, compared with what they would be made of.
    async fn foreign(
        &self,
        application: &Application,
        facts: &Facts,
        services: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        let mut known: BTreeMap<String, Vec<Known>> = BTreeMap::new();
        for container in facts.observed.containers.iter().filter(|one| !one.oneoff) {
            known
                .entry(container.service.clone())
                .or_default()
                .push(Known {
                    id: container.id.clone(),
                    name: container.name.clone(),
                    number: container.number,
                });
        }
        let containers = facts.observed.containers.iter();
        let others = containers
            .filter(|one| !one.oneoff && !one.is_ours() && services.contains(&one.service));
        let asked = others.filter_map(|one| Some((one, application.services.get(&one.service)?)));
        let asked = asked.map(|(container, service)| {
            let known = known.clone();
            async move {
                let image = facts.images.get(&service.image_name(&application.name));
                let making = Making {
                    name: container.name.clone(),
                    number: container.number,
                    image_volumes: image.map(ImageFacts::volumes).unwrap_or_default(),
                    known,
                    aliases: true,
                    ..Making::default()
                };
                let wanted = request::container(application, service, &making)?;
                let json = self.client.container_inspect(&container.id, false).await?;
                let is: Inspect = serde_json::from_value(json).map_err(|error| Error::Answer {
                    method: "GET".to_owned(),
                    path: format!("/containers/{}/json", container.id),
                    reason: error.to_string(),
                })?;
                let mut found = differences(&wanted.request, &is, image.map(|image| &image.config));
                // One without a name by the files has one of each program's own: what is in it counts.
                found.retain(|what| what != "image" || !service.image.is_empty());
                if let Some(image) = image
                    && image.id != is.image
                {
                    let own = execute::inspect(self.client, &is.image).await?;
                    if !own.is_some_and(|own| own.is_like(image)) {
                        found.insert(0, "image".to_owned());
                    }
                    found.dedup();
                }
                Ok::<_, Failure>((container.id.clone(), found))
            }
        });
        let found = stream::iter(asked).buffer_unordered(AT_ONCE);
        found.try_collect().await
    }
}
