//! What the surroundings decide: environment variables, `config.json`, and which daemon is meant.

pub(crate) mod credentials; // logins
mod file; // config.json
pub(crate) mod store; // the folder of contexts

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use onggi_client::{Endpoint, Tls, Version};

use crate::args::Matches;
use crate::error::{Error, Result, io_text};

pub(crate) use file::ConfigFile;
pub(crate) use store::Store;

/// The socket of onggid where nothing else is said.
pub(crate) const DEFAULT_SOCKET: &str = "/run/onggi/onggi.sock";

/// Environment variables, as given to the program.
pub type Environment = BTreeMap<String, String>;

/// The settings of one run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where the daemon is, or why that cannot be told: commands that need none run all the same.
    pub(crate) endpoint: Result<Endpoint>,
    pub(crate) tls: Option<Tls>,
    /// Whether the endpoint is the default one, whose daemon may be started on demand.
    pub(crate) on_demand: bool,
    pub(crate) api_version: Option<Version>,
    pub(crate) debug: bool,
    /// The folder of the client's configuration.
    pub(crate) directory: PathBuf,
    /// The context in use; `default` is what options and environment say.
    pub(crate) context: String,
    /// What `default` is.
    pub(crate) default_host: String,
    /// Whether `DOCKER_HOST` decides.
    pub(crate) by_environment: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) file: ConfigFile,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            endpoint: Err(Error::new("no endpoint")),
            tls: None,
            on_demand: false,
            api_version: None,
            debug: false,
            directory: PathBuf::new(),
            context: store::DEFAULT.to_owned(),
            default_host: format!("unix://{DEFAULT_SOCKET}"),
            by_environment: false,
            headers: Vec::new(),
            file: ConfigFile::default(),
        }
    }
}

impl Settings {
    /// Gathers options, environment and file; options win, the file loses.
    pub(crate) fn new(environment: &Environment, globals: &Matches) -> Result<Self> {
        let var = |name: &str| {
            environment
                .get(name)
                .map(String::as_str)
                .filter(|v| !v.is_empty())
        };
        crate::program::check_log_level(globals.text("log-level"))?;
        let directory = directory(environment, globals);
        // What is wrong with it was told at the start.
        let file = ConfigFile::read(&directory.join("config.json")).unwrap_or_default();
        let hosts: Vec<&str> = globals.all("host").collect();
        let wanted = globals.one("context").filter(|name| !name.is_empty());
        if wanted.is_some() && !hosts.is_empty() {
            return Err(Error::new(
                "conflicting options: cannot specify both --host and --context",
            ));
        }
        let by_environment = hosts.is_empty() && var("DOCKER_HOST").is_some();
        let context = match wanted {
            Some(name) => name,
            None if !hosts.is_empty() || by_environment => store::DEFAULT,
            None => var("DOCKER_CONTEXT")
                .or(Some(&file.current_context)
                    .filter(|name| !name.is_empty())
                    .map(String::as_str))
                .unwrap_or(store::DEFAULT),
        }
        .to_owned();
        let host = hosts.first().copied().or_else(|| var("DOCKER_HOST"));
        let mut settings = Settings {
            on_demand: host.is_none() && context == store::DEFAULT,
            default_host: match host {
                Some(host) => host.to_owned(),
                None => format!("unix://{DEFAULT_SOCKET}"),
            },
            debug: globals.on("debug") || var("DEBUG").is_some(),
            by_environment,
            headers: headers(&file, var("DOCKER_CUSTOM_HEADERS"))?,
            ..Settings::default()
        };
        if let Some(text) = var("DOCKER_API_VERSION") {
            settings.api_version = Some(Version::parse(text).ok_or_else(|| {
                Error::new(format!("DOCKER_API_VERSION: {text:?} is no API version"))
            })?);
        }
        let resolved = if hosts.len() > 1 {
            Err(Error::new("Specify only one -H"))
        } else if context == store::DEFAULT {
            tls(environment, globals, &directory, host)
                .and_then(|tls| Ok((parse(&settings.default_host)?, tls)))
        } else {
            Store::new(&directory)
                .endpoint(&context)
                .and_then(|(host, tls)| match host.as_str() {
                    "" => Err(Error::new(format!(
                        "context {}: has no docker endpoint",
                        crate::quote(&context)
                    ))),
                    host => Ok((parse(host)?, tls)),
                })
        };
        settings.endpoint = match resolved {
            Ok((endpoint, tls)) => {
                settings.tls = tls;
                Ok(endpoint)
            }
            Err(error) => Err(Error::new(format!(
                "Failed to initialize: unable to resolve docker endpoint: {}",
                error.message
            ))),
        };
        settings.context = context;
        settings.directory = directory;
        settings.file = file;
        Ok(settings)
    }
}

fn parse(host: &str) -> Result<Endpoint> {
    Endpoint::parse(host).map_err(|error| Error::new(error.to_string()))
}

/// The folder of the client's configuration.
pub(crate) fn directory(environment: &Environment, globals: &Matches) -> PathBuf {
    let var = |name: &str| environment.get(name).filter(|v| !v.is_empty());
    globals
        .one("config")
        .map(PathBuf::from)
        .or_else(|| var("DOCKER_CONFIG").map(PathBuf::from))
        .or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".docker")))
        .unwrap_or_else(|| PathBuf::from(".docker"))
}

/// The files for TLS that options and environment ask for; nothing without `--tls` or `--tlsverify`.
fn tls(
    environment: &Environment,
    globals: &Matches,
    directory: &Path,
    host: Option<&str>,
) -> Result<Option<Tls>> {
    let var = |name: &str| environment.get(name).filter(|v| !v.is_empty());
    let verify = globals.on_or("tlsverify", var("DOCKER_TLS_VERIFY").is_some());
    // `--tlsverify=false` asks for TLS all the same.
    let on =
        verify || globals.given("tlsverify") || globals.on_or("tls", var("DOCKER_TLS").is_some());
    // A socket of this machine is no place for TLS.
    if !on || host.is_none_or(|host| host.contains("://") && !host.starts_with("tcp://")) {
        return Ok(None);
    }
    let folder = var("DOCKER_CERT_PATH").map_or(directory, |path| Path::new(path));
    let file = |flag: &str, name: &str, needed: bool| -> Result<Option<PathBuf>> {
        let given = globals.one(flag).filter(|path| !path.is_empty());
        let path = match given {
            // Docker takes off quotes that shells and unit files left.
            Some(path) => PathBuf::from(path.trim_matches(['"', '\''])),
            None => folder.join(name),
        };
        match std::fs::metadata(&path) {
            Ok(_) => Ok(Some(path)),
            Err(_) if given.is_none() && !needed => Ok(None),
            Err(error) => Err(Error::new(format!(
                "open {}: {}",
                path.display(),
                io_text(&error)
            ))),
        }
    };
    let authority = file("tlscacert", "ca.pem", verify)?;
    Ok(Some(Tls {
        authority: authority.filter(|_| verify),
        certificate: file("tlscert", "cert.pem", false)?,
        key: file("tlskey", "key.pem", false)?,
    }))
}

/// Headers for every request: of the file, or those of `DOCKER_CUSTOM_HEADERS` instead (`name=value,...` as CSV).
fn headers(file: &ConfigFile, variable: Option<&str>) -> Result<Vec<(String, String)>> {
    let Some(text) = variable else {
        return Ok(file.http_headers.clone().into_iter().collect());
    };
    let invalid = |reason: &str| {
        Error::new(format!(
            "invalid DOCKER_CUSTOM_HEADERS environment variable: {reason}"
        ))
    };
    onggi_model::csv(text)
        .into_iter()
        .map(|field| {
            let (name, value) = field
                .split_once('=')
                .ok_or_else(|| invalid(&format!("missing '=' in {}", crate::quote(&field))))?;
            match name.trim() {
                "" => Err(invalid("empty name")),
                name => Ok((name.to_owned(), value.to_owned())),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Positionals, parse};

    fn settings(words: &[&str], variables: &[(&str, &str)], folder: &Path) -> Result<Settings> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let globals = parse::parse(&[crate::program::GLOBALS], Positionals::Last, &words)
            .map_err(|error| Error::new(error.to_string()))?;
        let mut environment: Environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        environment.insert("DOCKER_CONFIG".to_owned(), folder.display().to_string());
        Settings::new(&environment, &globals)
    }

    fn endpoint(words: &[&str], variables: &[(&str, &str)], folder: &Path) -> String {
        match settings(words, variables, folder).and_then(|settings| settings.endpoint) {
            Ok(endpoint) => endpoint.to_string(),
            Err(error) => error
                .message
                .replace(&folder.display().to_string(), "CONFIG"),
        }
    }

    #[test]
    fn options_win_over_environment_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let store = Store::new(folder);
        let context = |host: &str| store::Metadata::new("a", "", host, false);
        store.write(&context("tcp://a:1"), None).unwrap();
        std::fs::write(folder.join("config.json"), r#"{"currentContext":"a"}"#).unwrap();
        let host = [("DOCKER_HOST", "tcp://h:1")];
        for (words, variables, expected) in [
            (&[][..], &[][..], "tcp://a:1"),
            (&[], &host, "tcp://h:1"),
            (&["-H", "tcp://o:1"], &host, "tcp://o:1"),
            (&["--context", "a"], &host, "tcp://a:1"),
            (
                &["--context", "default"],
                &[],
                "unix:///run/onggi/onggi.sock",
            ),
            (
                &[],
                &[("DOCKER_CONTEXT", "default")],
                "unix:///run/onggi/onggi.sock",
            ),
            (
                &["--context", "a", "-H", "x"],
                &[],
                "conflicting options: cannot specify both --host and --context",
            ),
            (
                &["-H", "x", "-H", "y"],
                &[],
                "Failed to initialize: unable to resolve docker endpoint: Specify only one -H",
            ),
            (
                &["--tlsverify", "-H", "tcp://x"],
                &[],
                "Failed to initialize: unable to resolve docker endpoint: open CONFIG/ca.pem: no such file or directory",
            ),
            (
                &["--tls", "--tlscert", "/nope", "-H", "tcp://x"],
                &[],
                "Failed to initialize: unable to resolve docker endpoint: open /nope: no such file or directory",
            ),
        ] {
            assert_eq!(endpoint(words, variables, folder), expected, "{words:?}");
        }
        let message = endpoint(&["-c", "b"], &[], folder);
        assert!(
            message.starts_with("Failed to initialize: unable to resolve docker endpoint: context \"b\": context not found: open CONFIG/contexts/meta/3e23e816"),
            "{message}"
        );
    }

    #[test]
    fn tls_is_for_tcp_and_verifies_when_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let tls = |words: &[&str], variables: &[(&str, &str)]| {
            settings(words, variables, folder).unwrap().tls
        };
        let path = |name: &str| Some(folder.join(name));
        let verified = Tls {
            authority: path("ca.pem"),
            certificate: path("cert.pem"),
            key: path("key.pem"),
        };
        let trusting = Tls {
            authority: None,
            ..verified.clone()
        };
        let on = [("DOCKER_TLS_VERIFY", "1"), ("DOCKER_HOST", "tcp://x")];
        assert_eq!(tls(&[], &on), Some(verified.clone()));
        assert_eq!(tls(&["--tlsverify", "-H", "x"], &[]), Some(verified));
        assert_eq!(tls(&["--tls", "-H", "x"], &[]), Some(trusting.clone()));
        assert_eq!(tls(&["--tlsverify=false", "-H", "x"], &[]), Some(trusting));
        assert_eq!(tls(&["-H", "tcp://x"], &[]), None);
        assert_eq!(tls(&["--tls", "-H", "unix:///x"], &[]), None);
    }

    #[test]
    fn one_key_is_written_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, r#"{"z":[1],"auths":{"x":{}},"a":{}}"#).unwrap();
        ConfigFile::set(&path, "currentContext", Some("c")).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\n\t\"z\": [\n\t\t1\n\t],\n\t\"auths\": {\n\t\t\"x\": {}\n\t},\n\t\"a\": {},\n\t\"currentContext\": \"c\"\n}"
        );
        ConfigFile::set(&path, "currentContext", None).unwrap();
        assert!(ConfigFile::read(&path).unwrap().current_context.is_empty());
    }

    #[test]
    fn headers_come_from_the_file_or_the_variable() {
        let mut file = ConfigFile::default();
        file.http_headers.insert("A".to_owned(), "b".to_owned());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers(&file, None).unwrap(), [pair("A", "b")]);
        assert_eq!(
            headers(&file, Some("X=1,\"Y=2,3\"")).unwrap(),
            [pair("X", "1"), pair("Y", "2,3")]
        );
        assert!(headers(&file, Some("X")).is_err());
    }
}
