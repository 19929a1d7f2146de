//! The life of a new process, in order. What a process sees is changed by adding a step here and a file beside.

use super::{
    OfChild, OfContainer, OfVisitor, Step, cgroups, console, credentials, cwd, devices, enter,
    execute, hidden, isolate, limits, mounts, names, namespaces, pivot, rootfs, sources, streams,
    user,
};

/// The first process of a container, until it stands in its root.
pub(super) const CONTAINER: &[OfContainer] = &[
    Step {
        name: "isolating",
        run: isolate::container,
    },
    Step {
        name: "joining namespaces",
        run: namespaces::join,
    },
    Step {
        name: "separating control groups",
        run: cgroups::separate,
    },
    Step {
        name: "separating mounts",
        run: namespaces::propagation,
    },
    Step {
        name: "opening mount sources",
        run: sources::open,
    },
    Step {
        name: "mounting the root",
        run: rootfs::mount,
    },
    Step {
        name: "mounting",
        run: mounts::all,
    },
    Step {
        name: "making devices",
        run: devices::make,
    },
    Step {
        name: "opening the console",
        run: console::container,
    },
    Step {
        name: "making the working directory",
        run: cwd::make,
    },
    Step {
        name: "hiding paths",
        run: hidden::all,
    },
    Step {
        name: "making mounts read-only",
        run: mounts::seal,
    },
    Step {
        name: "changing the root",
        run: pivot::run,
    },
    Step {
        name: "naming the host",
        run: names::host,
    },
    Step {
        name: "setting kernel parameters",
        run: names::sysctls,
    },
];

/// A further process of a running container, until it stands in its root.
pub(super) const VISITOR: &[OfVisitor] = &[
    Step {
        name: "isolating",
        run: isolate::visitor,
    },
    Step {
        name: "entering namespaces",
        run: enter::namespaces,
    },
    Step {
        name: "opening the console",
        run: console::visitor,
    },
];

/// Any process, once it stands in its root.
pub(super) const PROCESS: &[OfChild] = &[
    Step {
        name: "joining a keyring",
        run: isolate::keyring,
    },
    Step {
        name: "resolving the user",
        run: user::resolve,
    },
    Step {
        name: "setting limits",
        run: limits::all,
    },
    Step {
        name: "handing over streams",
        run: streams::own,
    },
    Step {
        name: "closing the root",
        run: cwd::close,
    },
    Step {
        name: "confining",
        run: credentials::confine,
    },
    Step {
        name: "changing the user",
        run: credentials::change,
    },
    Step {
        name: "finding the program",
        run: execute::find,
    },
    Step {
        name: "waiting for the start",
        run: execute::wait,
    },
    Step {
        name: "executing",
        run: execute::run,
    },
];
