//! The labels by which Compose knows what is its own: Docker Compose's, to the letter, so that a project made by one can be
//! run by the other.

/// The project.
pub const PROJECT: &str = "com.docker.compose.project";
/// The service of a container.
pub const SERVICE: &str = "com.docker.compose.service";
/// Which container of its service it is, from 1 on.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// `True` for containers of `run`, else `False`.
pub const ONEOFF: &str = "com.docker.compose.oneoff";
/// The hash of what it was made of.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// The files of the project, with commas between them.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// The folder of the project.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// The files of variables of the project, with commas between them.
pub const ENVIRONMENT_FILE: &str = "com.docker.compose.project.environment_file";
/// The id of the image it was made from.
pub const IMAGE: &str = "com.docker.compose.image";
/// The services it waits for: `db:service_healthy:false`, with commas between them.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// Which program made it.
pub const VERSION: &str = "com.docker.compose.version";
/// The container whose place it took.
pub const REPLACE: &str = "com.docker.compose.replace";
/// The network's key in the project.
pub const NETWORK: &str = "com.docker.compose.network";
/// The volume's key in the project.
pub const VOLUME: &str = "com.docker.compose.volume";
/// The slug of a container of `run`.
pub const SLUG: &str = "com.docker.compose.slug";

/// What [`VERSION`] says of what is made here.
pub const OUR_VERSION: &str = concat!("onggi-", env!("CARGO_PKG_VERSION"));
