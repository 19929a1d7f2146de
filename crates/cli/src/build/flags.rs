//! The flags of `build`: those of Docker's first builder and those of buildx.

use onggi_model::ImageRef;

use crate::args::flag::Complete;
use crate::args::{Flag, check, list, switch, value};
use crate::container::request::check_ulimit;

/// Ways to show the progress.
const PROGRESS: &[&str] = &["auto", "plain", "tty", "rawjson", "quiet"];

/// All of them, in the order of the alphabet.
pub(super) const FLAGS: &[Flag] = &[
    list(
        None,
        "add-host",
        "list",
        "Give RUN a line of /etc/hosts (\"HOST:IP\")",
    )
    .checked(check::extra_host),
    list(
        None,
        "allow",
        "strings",
        "Allow what is not for every build (\"network.host\")",
    )
    .checked(check::strings),
    list(
        None,
        "attest",
        "string",
        "Attestations of the image (\"type=sbom,disabled=true\"; none are made)",
    ),
    list(
        None,
        "build-arg",
        "list",
        "Set an ARG of the Dockerfile (\"NAME=VALUE\"; NAME alone has its value from the environment)",
    )
    .checked(check::env),
    list(
        None,
        "build-context",
        "stringArray",
        "A further context by name (\"NAME=PATH\", \"NAME=docker-image://IMAGE\", \"NAME=https://...\")",
    ),
    value(
        None,
        "builder",
        "string",
        "Builder to use (the daemon is the only one: \"default\")",
    ),
    list(
        None,
        "cache-from",
        "strings",
        "What other builders know (\"NAME\", \"type=registry,ref=NAME\")",
    ),
    list(
        None,
        "cache-to",
        "stringArray",
        "Tell other builders what this one knows (\"type=registry,ref=NAME,mode=max\", \"type=inline\")",
    ),
    value(
        None,
        "call",
        "string",
        "What is done: \"build\", or \"check\" as --check",
    )
    .default("\"build\"")
    .checked(call)
    .completed(Complete::Words(&["build", "check"])),
    value(
        None,
        "cgroup-parent",
        "string",
        "The cgroup that RUN's is made in",
    ),
    switch(
        None,
        "check",
        "Look for what is probably not meant in the Dockerfile; nothing is built",
    ),
    switch(None, "compress", "Compress the context with gzip"),
    value(
        None,
        "cpu-period",
        "int",
        "Length of a period of the CPU scheduler, in microseconds",
    )
    .checked(check::int),
    value(
        None,
        "cpu-quota",
        "int",
        "CPU time RUN has in a period, in microseconds",
    )
    .checked(check::int),
    value(
        Some('c'),
        "cpu-shares",
        "int",
        "Weight of RUN where CPU time is short",
    )
    .checked(check::int),
    value(
        None,
        "cpuset-cpus",
        "string",
        "CPUs that RUN may use (0-3, 0,1)",
    ),
    value(
        None,
        "cpuset-mems",
        "string",
        "Memory nodes that RUN may use (0-3, 0,1)",
    ),
    switch(
        None,
        "disable-content-trust",
        "Do not check signatures (the only way: images are not signed that way)",
    )
    .default("true"),
    value(
        Some('f'),
        "file",
        "string",
        "The Dockerfile (default \"PATH/Dockerfile\"); - reads it from STDIN",
    )
    .completed(Complete::Files),
    switch(
        None,
        "force-rm",
        "Remove the containers of steps even when one fails",
    ),
    value(None, "iidfile", "string", "Write the image's ID to a file").completed(Complete::Files),
    value(
        None,
        "isolation",
        "string",
        "How containers are isolated (daemons on Windows know several ways)",
    ),
    list(None, "label", "list", "Give the image a label").checked(check::label),
    switch(
        None,
        "load",
        "Keep the image in the daemon, as an output of type docker does",
    ),
    value(Some('m'), "memory", "bytes", "Memory that RUN may take").checked(check::bytes),
    value(
        None,
        "memory-swap",
        "bytes",
        "Memory and swap together that RUN may take; -1 for no limit",
    )
    .checked(check::swap_bytes),
    value(
        None,
        "metadata-file",
        "string",
        "Write names and digests of the image to a file, as JSON",
    )
    .completed(Complete::Files),
    value(None, "network", "string", "The network that RUN is in")
        .default("\"default\"")
        .completed(Complete::Words(&["default", "host", "none"])),
    switch(None, "no-cache", "Do every step anew"),
    list(
        None,
        "no-cache-filter",
        "stringArray",
        "Do every step of these stages anew",
    ),
    list(
        Some('o'),
        "output",
        "stringArray",
        "Where the result goes (\"type=local,dest=PATH\", \"type=tar\", \"type=oci\", \"type=docker\", \"type=image\", \"type=registry\"; PATH alone is type=local)",
    ),
    list(
        None,
        "platform",
        "stringArray",
        "Platform of the image, if the daemon can do several",
    )
    .completed(Complete::Words(crate::container::words::PLATFORMS)),
    value(
        None,
        "progress",
        "string",
        "How the progress is shown (\"auto\", \"plain\", \"tty\", \"rawjson\", \"quiet\")",
    )
    .default("\"auto\"")
    .completed(Complete::Words(PROGRESS)),
    value(
        None,
        "provenance",
        "string",
        "Attestation of how the image was made (\"false\"; none is made)",
    ),
    switch(
        None,
        "pull",
        "Ask the registry for newer base images, though they are here",
    ),
    switch(
        None,
        "push",
        "Push the image when it is built, as an output of type registry does",
    ),
    switch(
        Some('q'),
        "quiet",
        "Print nothing but the image's ID when it is built",
    ),
    switch(
        None,
        "rm",
        "Remove the containers of steps when all is built",
    )
    .default("true"),
    value(
        None,
        "sbom",
        "string",
        "Attestation of what is in the image (\"false\"; none is made)",
    ),
    list(
        None,
        "secret",
        "stringArray",
        "A secret that RUN can mount (\"id=NAME,src=PATH\", \"id=NAME,env=VARIABLE\")",
    ),
    list(None, "security-opt", "strings", "Security options of RUN").checked(check::strings),
    value(None, "shm-size", "bytes", "Size of /dev/shm of RUN").checked(check::bytes),
    switch(None, "squash", "Make one layer of all that were built").since(1, 25),
    list(
        None,
        "ssh",
        "stringArray",
        "An agent that RUN can mount (\"default\", \"NAME=SOCKET\")",
    ),
    list(
        Some('t'),
        "tag",
        "list",
        "Name of the image, and a tag (\"NAME:TAG\")",
    )
    .checked(tag),
    value(
        None,
        "target",
        "string",
        "The stage to build, the last one if not given",
    ),
    list(None, "ulimit", "ulimit", "Limits of RUN, as setrlimit has them").checked(check_ulimit),
];

fn tag(text: &str) -> Result<(), String> {
    ImageRef::parse_untagged(text)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn call(text: &str) -> Result<(), String> {
    match text {
        "" | "build" | "check" => Ok(()),
        _ => Err("only \"build\" and \"check\" can be called".to_owned()),
    }
}
