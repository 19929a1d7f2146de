//! What a container is made of, as far as it is portable between machines, and the request that makes one.

use std::collections::BTreeMap;

use crate::container::{HostConfig, PortMap, PortSet};
use crate::go::{Empty, document};
use crate::network::EndpointSettings;

document! {
    /// The portable part of a container's configuration.
    pub struct Config {
        pub hostname: String => "Hostname";
        pub domainname: String => "Domainname";
        /// `user`, `user:group`, by name or number.
        pub user: String => "User";
        pub attach_stdin: bool => "AttachStdin";
        pub attach_stdout: bool => "AttachStdout";
        pub attach_stderr: bool => "AttachStderr";
        pub exposed_ports: Option<PortSet> => "ExposedPorts" @omitempty;
        pub tty: bool => "Tty";
        /// Keep standard input open though nobody is attached.
        pub open_stdin: bool => "OpenStdin";
        /// Close standard input when the first client that attached to it leaves.
        pub stdin_once: bool => "StdinOnce";
        pub env: Option<Vec<String>> => "Env";
        pub cmd: Option<Vec<String>> => "Cmd" via StrSlice;
        pub healthcheck: Option<HealthConfig> => "Healthcheck" @omitempty;
        /// Windows only.
        pub args_escaped: bool => "ArgsEscaped" @omitempty;
        /// The image as it was named.
        pub image: String => "Image";
        pub volumes: Option<BTreeMap<String, Empty>> => "Volumes";
        pub working_dir: String => "WorkingDir";
        pub entrypoint: Option<Vec<String>> => "Entrypoint" via StrSlice;
        pub network_disabled: bool => "NetworkDisabled" @omitempty;
        /// Left over from before 1.44; endpoints have it since.
        pub mac_address: String => "MacAddress" @omitempty;
        pub on_build: Option<Vec<String>> => "OnBuild" @omitempty;
        pub labels: Option<BTreeMap<String, String>> => "Labels";
        pub stop_signal: String => "StopSignal" @omitempty;
        /// Seconds.
        pub stop_timeout: Option<i64> => "StopTimeout" @omitempty;
        pub shell: Option<Vec<String>> => "Shell" via StrSlice @omitempty;
    }
}

document! {
    /// How to find out whether the container is healthy. Durations in nanoseconds; 0 means "as inherited".
    pub struct HealthConfig {
        /// `["NONE"]`, `["CMD", ...]`, `["CMD-SHELL", "..."]`; empty inherits.
        pub test: Option<Vec<String>> => "Test" @omitempty;
        pub interval: i64 => "Interval" @omitempty;
        pub timeout: i64 => "Timeout" @omitempty;
        pub start_period: i64 => "StartPeriod" @omitempty;
        pub start_interval: i64 => "StartInterval" @omitempty;
        pub retries: i64 => "Retries" @omitempty;
    }
}

document! {
    /// The networks a new container joins.
    pub struct NetworkingConfig {
        /// By network name.
        pub endpoints_config: Option<BTreeMap<String, Option<EndpointSettings>>> => "EndpointsConfig";
    }
}

document! {
    /// The body of `POST /containers/create`.
    pub struct CreateRequest {
        pub config: Config => "" @flatten;
        pub host_config: Option<HostConfig> => "HostConfig" @omitempty;
        pub networking_config: Option<NetworkingConfig> => "NetworkingConfig" @omitempty;
    }
}

document! {
    /// What was made.
    pub struct CreateResponse {
        pub id: String => "Id";
        pub warnings: Vec<String> => "Warnings";
    }
}

document! {
    /// Ports that move to another container; onggi's alone.
    pub struct MovePortsRequest {
        /// The container that gets them.
        pub to: String => "To";
        /// `80/tcp`; all that are published where none is named.
        pub ports: Option<Vec<String>> => "Ports" @omitempty;
    }
}

document! {
    /// What moved.
    pub struct MovePortsResponse {
        /// Where each port is published.
        pub ports: PortMap => "Ports";
    }
}
