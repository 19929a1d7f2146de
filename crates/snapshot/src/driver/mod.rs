//! The ways to put layers together.

pub(crate) mod native;
pub(crate) mod overlay;

/// A way to put layers together. Layers on the disk are the same for all; only roots differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// overlayfs: layers below, one upper directory for what the container writes.
    #[default]
    Overlay,
    /// One full copy per container, for file systems that overlayfs cannot use.
    Native,
}

impl Driver {
    /// All drivers.
    pub const ALL: [Driver; 2] = [Driver::Overlay, Driver::Native];

    /// The name users see (`docker info`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Driver::Overlay => "overlay2",
            Driver::Native => "native",
        }
    }

    /// The driver with this name; `vfs`, Docker's name for a driver that copies, is `native`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Driver> {
        match name {
            "overlay" | "overlay2" | "overlayfs" => Some(Driver::Overlay),
            "native" | "vfs" => Some(Driver::Native),
            _ => None,
        }
    }
}
