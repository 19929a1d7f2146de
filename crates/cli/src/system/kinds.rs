//! What the documents that `inspect`, `version` and `info` show were in Go: maps or structs, pointers, other names.

use onggi_gotmpl::Kinds;
use serde_json::{Value, json};

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
            "Server" => &["KernelVersion", "Experimental", "BuildTime"],
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

    fn zero(&self, parent: &str, name: &str) -> Value {
        match (parent, name) {
            ("Server", "Experimental") => json!(false),
            ("Server", _) => json!(""),
            _ => Value::Null,
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

/// Kinds of what `info` tells: as [`Documents`], with fields of its own that may be left out.
pub(crate) struct InfoDocument;

impl Kinds for InfoDocument {
    fn is_map(&self, parent: &str, name: &str) -> bool {
        Documents.is_map(parent, name)
    }

    fn is_pointer(&self, parent: &str, name: &str) -> bool {
        matches!(name, "Cluster" | "Containerd" | "FirewallBackend" | "NRI")
            || Documents.is_pointer(parent, name)
    }

    fn optional(&self, name: &str) -> &'static [&'static str] {
        match name {
            "" => &[
                "CDISpecDirs",
                "CgroupVersion",
                "ClientErrors",
                "Containerd",
                "DefaultAddressPools",
                "DiscoveredDevices",
                "FirewallBackend",
                "KernelMemory",
                "KernelMemoryTCP",
                "NRI",
                "ProductLicense",
                "ServerErrors",
            ],
            "Swarm" => &["Cluster", "Managers", "Nodes", "Warnings"],
            _ => &[],
        }
    }

    fn zero(&self, _: &str, name: &str) -> Value {
        match name {
            "KernelMemory" | "KernelMemoryTCP" => json!(false),
            "CgroupVersion" | "ProductLicense" => json!(""),
            "Managers" | "Nodes" => json!(0),
            _ => Value::Null,
        }
    }

    fn alias(&self, key: &str) -> Option<&'static str> {
        Documents.alias(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onggi_gotmpl::{Data, Template};

    fn rendered(kinds: &dyn Kinds, source: &str) -> String {
        let document = json!({"Server": {"Version": "1"}, "Swarm": {"NodeID": ""}});
        let template = Template::parse(source).expect("parses");
        let data = Data::typed("t", &document, kinds);
        template.render(&data).expect("renders")
    }

    #[test]
    fn what_was_left_out_is_empty_and_not_unknown() {
        let said = rendered(
            &Documents,
            "{{.Server.Experimental}} [{{.Server.BuildTime}}]",
        );
        assert_eq!(said, "false []");
        let source = "{{.KernelMemory}} {{.Swarm.Nodes}} {{.Swarm.Cluster}} {{.DefaultAddressPools}} \
                      {{.FirewallBackend}} [{{.ProductLicense}}]";
        let said = rendered(&InfoDocument, source);
        assert_eq!(said, "false 0 <nil> [] <nil> []");
        // JSON is as it came.
        let json = rendered(&InfoDocument, "{{json .Swarm}}");
        assert_eq!(json, r#"{"NodeID":""}"#);
    }
}
