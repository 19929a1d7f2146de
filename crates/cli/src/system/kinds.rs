//! What the documents that `inspect`, `version` and `info` show were in Go: maps or structs, pointers, other names.

use onggi_gotmpl::Kinds;

/// Kinds of the API's documents.
pub(crate) struct Documents;

impl Kinds for Documents {
    fn is_map(&self, parent: &str, name: &str) -> bool {
        match name {
            "Annotations" | "Attributes" | "Data" | "Details" | "DriverOpts"
            | "EndpointsConfig" | "ExposedPorts" | "IndexConfigs" | "Labels" | "Networks"
            | "Options" | "PortBindings" | "Ports" | "Runtimes" | "Status" | "StorageOpt"
            | "Sysctls" | "Tmpfs" | "Volumes" | "annotations" | "options" | "status" => true,
            "Config" => parent == "LogConfig",
            "Containers" => parent.is_empty(),
            _ => false,
        }
    }

    fn is_pointer(&self, _: &str, name: &str) -> bool {
        matches!(
            name,
            "BindOptions"
                | "ConfigOnly"
                | "Descriptor"
                | "GraphDriver"
                | "Health"
                | "Healthcheck"
                | "IPAMConfig"
                | "ImageManifestDescriptor"
                | "Init"
                | "MemorySwappiness"
                | "OomKillDisable"
                | "PidsLimit"
                | "Platform"
                | "RegistryConfig"
                | "Server"
                | "SizeRootFs"
                | "SizeRw"
                | "StopTimeout"
                | "TmpfsOptions"
                | "UsageData"
                | "VolumeOptions"
        )
    }

    fn optional(&self, name: &str) -> &'static [&'static str] {
        match name {
            "" => &[
                "SizeRw",
                "SizeRootFs",
                "ImageManifestDescriptor",
                "Descriptor",
                "Manifests",
            ],
            "State" => &["Health"],
            "Config" => &[
                "ExposedPorts",
                "Healthcheck",
                "OnBuild",
                "StopTimeout",
                "Shell",
                "Env",
                "Entrypoint",
                "Cmd",
                "Volumes",
                "Labels",
            ],
            "HostConfig" => &[
                "Annotations",
                "StorageOpt",
                "Tmpfs",
                "Sysctls",
                "Mounts",
                "Init",
            ],
            _ => &[],
        }
    }

    fn alias(&self, key: &str) -> Option<&'static str> {
        Some(match key {
            "Id" => "ID",
            "CpuShares" => "CPUShares",
            "NanoCpus" => "NanoCPUs",
            "CpuPeriod" => "CPUPeriod",
            "CpuQuota" => "CPUQuota",
            "CpuRealtimePeriod" => "CPURealtimePeriod",
            "CpuRealtimeRuntime" => "CPURealtimeRuntime",
            "CpuCount" => "CPUCount",
            "CpuPercent" => "CPUPercent",
            "CpuCfsPeriod" => "CPUCfsPeriod",
            "CpuCfsQuota" => "CPUCfsQuota",
            "Dns" => "DNS",
            "DnsOptions" => "DNSOptions",
            "DnsSearch" => "DNSSearch",
            "HostIp" => "HostIP",
            "ApiVersion" => "APIVersion",
            "HttpProxy" => "HTTPProxy",
            "HttpsProxy" => "HTTPSProxy",
            _ => return None,
        })
    }
}
