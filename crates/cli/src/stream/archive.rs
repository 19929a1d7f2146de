//! An archive of the daemon's to a file or to standard output: `export`, `save`.

use std::io::Write;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use onggi_client::Response;

use crate::cli::{is_terminal, pipe};
use crate::container::cp::paths;
use crate::error::{Error, Result, path_error};

/// Refuses a terminal, and a file in a folder that is not there, before anything is asked for.
pub(crate) fn check(output: &str, what: &str) -> Result<()> {
    if output.is_empty() {
        return match is_terminal(std::io::stdout()) {
            true => Err(Error::new(
                "cowardly refusing to save to a terminal. Use the -o flag or redirect",
            )),
            false => Ok(()),
        };
    }
    let parent = paths::split_entry(output).0;
    let refused = |why: String| Err(Error::new(format!("{what}: {why}")));
    if let Err(error) = std::fs::metadata(&parent) {
        let why = path_error("stat", &parent, &error).message;
        return refused(format!("invalid output path: {why}"));
    }
    let Ok(there) = std::fs::metadata(output) else {
        return Ok(());
    };
    let kind = match there.file_type() {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "directory",
        kind if kind.is_char_device() => "character device file",
        kind if kind.is_block_device() => "block device file",
        kind if kind.is_fifo() => "named pipe file",
        _ => "socket file",
    };
    refused(format!("cannot write to a {kind}"))
}

/// Writes the archive; a file whole or not at all.
pub(crate) async fn write(mut response: Response, output: &str) -> Result<()> {
    if output.is_empty() {
        let mut stdout = std::io::stdout();
        while let Some(chunk) = response.chunk().await? {
            stdout.write_all(&chunk).map_err(|error| pipe(&error))?;
        }
        return stdout.flush().map_err(|error| pipe(&error));
    }
    // Under another name until it is complete.
    let partial = format!("{output}.onggi-{}", std::process::id());
    let written = async {
        let failed = |error: std::io::Error| path_error("write", output, &error);
        let mut file = std::fs::File::create(&partial).map_err(failed)?;
        while let Some(chunk) = response.chunk().await? {
            file.write_all(&chunk).map_err(failed)?;
        }
        let special = Path::new(output).exists() && !Path::new(output).is_file();
        match special {
            true => Err(Error::new(format!("{output} is not a regular file"))),
            false => std::fs::rename(&partial, output).map_err(failed),
        }
    }
    .await;
    if written.is_err() {
        // Nothing is left of what failed.
        let _ = std::fs::remove_file(&partial);
    }
    written
}
