//! From the `build` section of a service to the words of `build`.

use onggi_compose::service::Ulimit;
use onggi_compose::{Application, Service, labels};

/// How an image is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recipe {
    /// The words behind `build`.
    pub(super) words: Vec<String>,
    /// The Dockerfile, where it stands in the project's file itself.
    pub(super) dockerfile: Option<String>,
}

/// How the image of a service is built and named.
///
/// # Errors
/// What cannot be built, in words for people.
pub(super) fn recipe(
    application: &Application,
    service: &Service,
    image: &str,
) -> Result<Recipe, String> {
    let Some(build) = &service.build else {
        return Err(format!(
            "service {}: nothing says how it is built",
            service.name
        ));
    };
    let mut words: Vec<String> = Vec::new();
    let mut add = |flag: &str, value: &str| {
        words.push(format!("--{flag}={value}"));
    };
    add("tag", image);
    for tag in &build.tags {
        add("tag", tag);
    }
    let own = [
        (labels::PROJECT, application.name.as_str()),
        (labels::SERVICE, &service.name),
        (labels::VERSION, labels::OUR_VERSION),
    ];
    let given = build
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    for (key, value) in own.into_iter().chain(given) {
        add("label", &format!("{key}={value}"));
    }
    for (key, value) in &build.args {
        // One without a value is not set: the Dockerfile's own default holds.
        if let Some(value) = value {
            add("build-arg", &format!("{key}={value}"));
        }
    }
    for (flag, value) in [
        ("target", &build.target),
        ("network", &build.network),
        ("isolation", &build.isolation),
        ("provenance", &build.provenance),
        ("sbom", &build.sbom),
    ] {
        if !value.is_empty() {
            add(flag, value);
        }
    }
    for (flag, values) in [
        ("cache-from", &build.cache_from),
        ("cache-to", &build.cache_to),
        ("allow", &build.entitlements),
    ] {
        for value in values {
            add(flag, value);
        }
    }
    for (flag, on) in [("no-cache", build.no_cache), ("pull", build.pull)] {
        if on {
            add(flag, "true");
        }
    }
    if build.privileged {
        return Err(format!(
            "service {}: a privileged build is not supported: RUN has the rights of a container",
            service.name
        ));
    }
    match (&build.platforms[..], service.platform.as_str()) {
        ([], "") => {}
        ([], platform) => add("platform", platform),
        (platforms, _) => add("platform", &platforms.join(",")),
    }
    for (host, addresses) in &build.extra_hosts {
        for address in addresses {
            add("add-host", &format!("{host}={address}"));
        }
    }
    for (id, path) in &build.ssh {
        match path {
            Some(path) if !path.is_empty() => add("ssh", &format!("{id}={path}")),
            _ => add("ssh", id),
        }
    }
    if build.shm_size > 0 {
        add("shm-size", &build.shm_size.to_string());
    }
    for (name, limit) in &build.ulimits {
        let (soft, hard) = match limit {
            Ulimit::Both(limit) => (limit, limit),
            Ulimit::Each { soft, hard } => (soft, hard),
        };
        add("ulimit", &format!("{name}={soft}:{hard}"));
    }
    for (name, place) in &build.additional_contexts {
        let place = match place.strip_prefix("service:") {
            Some(other) => match application.services.get(other) {
                Some(other) => format!("docker-image://{}", other.image_name(&application.name)),
                None => {
                    return Err(format!(
                        "service {}: no such service: {other}",
                        service.name
                    ));
                }
            },
            None => place.clone(),
        };
        add("build-context", &format!("{name}={place}"));
    }
    for mount in &build.secrets {
        // The folder is where RUN has secrets anyway.
        let target = mount.target.trim_start_matches("/run/secrets/");
        let id = match target.is_empty() {
            true => &mount.source,
            false => target,
        };
        let secret = application.secrets.get(&mount.source);
        let from = secret.and_then(|secret| {
            let file = secret.file.as_ref().map(|path| format!("src={path}"));
            let variable = secret.environment.as_ref();
            file.or_else(|| variable.map(|name| format!("env={name}")))
        });
        match from {
            Some(from) => add("secret", &format!("id={id},{from}")),
            None => {
                return Err(format!(
                    "service {}: the secret {} is of no file and no variable, which builds need",
                    service.name, mount.source
                ));
            }
        }
    }
    let inline = !build.dockerfile_inline.is_empty();
    let context = std::path::Path::new(&build.context);
    let file = match build.dockerfile.as_str() {
        _ if inline => "-".to_owned(),
        "" => String::new(),
        // Beside the context where that is a folder here; within it where it comes from elsewhere.
        file if context.exists() => context.join(file).display().to_string(),
        file => file.to_owned(),
    };
    if !file.is_empty() {
        add("file", &file);
    }
    words.push("--".to_owned());
    words.push(build.context.clone());
    Ok(Recipe {
        words,
        dockerfile: inline.then(|| build.dockerfile_inline.clone()),
    })
}

#[cfg(test)]
mod tests {
    use onggi_compose::{Options, load};

    use super::*;

    const FILE: &str = r#"
name: shop
services:
  web:
    platform: linux/amd64
    build:
      context: .
      dockerfile: web.Dockerfile
      args: {A: "1", UNSET: }
      labels: {own: label}
      tags: ["web:extra"]
      target: last
      network: host
      no_cache: true
      pull: true
      shm_size: 64m
      ulimits: {nofile: {soft: 1, hard: 2}}
      extra_hosts: ["db=10.0.0.1"]
      additional_contexts: {base: "service:base", docs: ./docs}
      ssh: [default]
      secrets: [token, {source: key, target: other}]
      cache_from: [web:cache]
  base:
    build: {dockerfile_inline: "FROM scratch"}
secrets: {token: {environment: TOKEN}, key: {file: ./key}}
"#;

    #[test]
    fn every_key_of_the_section_becomes_a_flag() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("compose.yaml"), FILE).unwrap();
        let options = Options {
            directory: folder.path().to_owned(),
            environment: vec![("TOKEN".to_owned(), "t".to_owned())],
            ..Options::default()
        };
        let application = Application::of(&load(&options).unwrap()).unwrap();
        let here = folder.path().to_string_lossy().into_owned();
        let words = |name: &str| {
            let service = &application.services[name];
            let recipe = recipe(&application, service, "shop-it").unwrap();
            (
                recipe.words.join(" ").replace(&here, "/shop"),
                recipe.dockerfile,
            )
        };
        let (web, inline) = words("web");
        for wanted in [
            "--tag=shop-it --tag=web:extra",
            "--label=com.docker.compose.project=shop",
            "--label=own=label",
            "--build-arg=A=1 --target",
            "--target=last --network=host",
            "--cache-from=web:cache",
            "--no-cache=true --pull=true",
            "--platform=linux/amd64",
            "--add-host=db=10.0.0.1",
            "--ssh=default",
            "--shm-size=67108864",
            "--ulimit=nofile=1:2",
            "--build-context=base=docker-image://shop-base",
            "--build-context=docs=/shop/docs",
            "--secret=id=token,env=TOKEN",
            "--secret=id=other,src=/shop/key",
            "--file=/shop/web.Dockerfile -- /shop",
        ] {
            assert!(web.contains(wanted), "{wanted}: {web}");
        }
        assert_eq!(inline, None);
        let (base, inline) = words("base");
        assert!(base.ends_with("--file=- -- /shop"), "{base}");
        assert_eq!(inline.as_deref(), Some("FROM scratch"));
    }
}
