//! Files of a container as the API speaks of them: what is at a path, and what changed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::go::document;

/// The header that carries a [`PathStat`].
pub const PATH_STAT_HEADER: &str = "x-docker-container-path-stat";

document! {
    /// What is at a path in a container: base64 of its JSON is the header of `archive` answers.
    pub struct PathStat {
        /// The last component of the path as it was asked for.
        pub name: String => "name";
        pub size: i64 => "size";
        /// Go's `os.FileMode`, see [`file_mode`].
        pub mode: u32 => "mode";
        /// RFC 3339 with nanoseconds.
        pub mtime: String => "mtime";
        /// Where a symbolic link leads, as an absolute path in the container.
        pub link_target: String => "linkTarget";
    }
}

impl PathStat {
    /// As the header has it.
    #[must_use]
    pub fn to_header(&self) -> String {
        STANDARD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// From the header.
    #[must_use]
    pub fn from_header(text: &str) -> Option<Self> {
        serde_json::from_slice(&STANDARD.decode(text.trim()).ok()?).ok()
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.mode & file_mode::DIRECTORY != 0
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.mode & file_mode::SYMLINK != 0
    }
}

/// Go's `os.FileMode`: permissions as everywhere, kinds and special bits in places of its own.
pub mod file_mode {
    /// A directory.
    pub const DIRECTORY: u32 = 1 << 31;
    /// A symbolic link.
    pub const SYMLINK: u32 = 1 << 27;
    /// A device; with [`CHARACTER`] a character device.
    pub const DEVICE: u32 = 1 << 26;
    /// A named pipe.
    pub const PIPE: u32 = 1 << 25;
    /// A socket.
    pub const SOCKET: u32 = 1 << 24;
    /// Set-user-id.
    pub const SETUID: u32 = 1 << 23;
    /// Set-group-id.
    pub const SETGID: u32 = 1 << 22;
    /// See [`DEVICE`].
    pub const CHARACTER: u32 = 1 << 21;
    /// The sticky bit.
    pub const STICKY: u32 = 1 << 20;
    /// Something else.
    pub const IRREGULAR: u32 = 1 << 19;

    /// From `st_mode` (stat(2)).
    #[must_use]
    pub fn from_unix(mode: u32) -> u32 {
        let kind = match mode & 0o170_000 {
            0o100_000 => 0,
            0o040_000 => DIRECTORY,
            0o120_000 => SYMLINK,
            0o060_000 => DEVICE,
            0o020_000 => DEVICE | CHARACTER,
            0o010_000 => PIPE,
            0o140_000 => SOCKET,
            _ => IRREGULAR,
        };
        let special = [(0o4000, SETUID), (0o2000, SETGID), (0o1000, STICKY)];
        special
            .iter()
            .filter(|(bit, _)| mode & bit != 0)
            .fold(kind | mode & 0o777, |all, (_, bit)| all | bit)
    }
}

document! {
    /// One path that differs from the image.
    pub struct FilesystemChange {
        pub path: String => "Path";
        /// 0 changed, 1 added, 2 deleted.
        pub kind: u8 => "Kind";
    }
}

document! {
    /// The answer of `POST /commit`.
    pub struct CommitResponse {
        pub id: String => "Id";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_gos() {
        // As dockerd 20.10 answers for a directory, a link, a file, and /tmp.
        for (unix, go) in [
            (0o040_755, 2_147_484_141),
            (0o120_777, 134_218_239),
            (0o100_644, 420),
            (0o041_777, 2_148_532_735),
        ] {
            assert_eq!(file_mode::from_unix(unix), go, "{unix:o}");
        }
    }

    #[test]
    fn the_header_reads_back() {
        let stat = PathStat {
            name: "etc".to_owned(),
            size: 4096,
            mode: file_mode::from_unix(0o040_755),
            mtime: "2024-01-02T03:04:05.000000006Z".to_owned(),
            link_target: String::new(),
        };
        let read = PathStat::from_header(&stat.to_header());
        assert_eq!(read, Some(stat));
        assert_eq!(PathStat::from_header("???"), None);
    }
}
