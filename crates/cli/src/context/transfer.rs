//! `context export` and `import`: a context as a tar archive.

use std::io::{Read as _, Write as _};

use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result, path_error};
use crate::settings::Store;
use crate::settings::store::{self, DEFAULT, Metadata, PEMS};

/// No context is larger; what is, is none.
const LIMIT: u64 = 10 * 1024 * 1024;

pub(super) const EXPORT: Command = Command {
    usage: "[OPTIONS] CONTEXT [FILE|-]",
    about: "Write a context to a tar archive, or to standard output",
    arity: Arity::Between(1, 2),
    complete: &[Complete::Contexts, Complete::Files],
    ..command(&["context export"], export)
};

pub(super) const IMPORT: Command = Command {
    usage: "CONTEXT FILE|-",
    about: "Make a context from a tar archive",
    arity: Arity::Exactly(2),
    complete: &[Complete::Nothing, Complete::Files],
    ..command(&["context import"], import)
};

fn export(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let name = matches.args[0].as_str();
    if name != DEFAULT {
        store::check_name(name)?;
    }
    let store = Store::new(&cli.settings.directory);
    let (metadata, pems) = if name == DEFAULT {
        let host = &cli.settings.default_host;
        (Metadata::new(DEFAULT, "", host, false), Vec::new())
    } else {
        (store.read(name)?, store.pems(name))
    };
    let target = match matches.args.get(1) {
        Some(path) => path.clone(),
        None => format!("{name}.dockercontext"),
    };
    let archive = pack(&metadata, &pems)?;
    if target == "-" {
        if crate::cli::is_terminal(std::io::stdout()) {
            return Err(Error::new(
                "cowardly refusing to export to a terminal, specify a file path",
            ));
        }
        cli.flush()?;
        std::io::stdout()
            .lock()
            .write_all(&archive)
            .map_err(|error| crate::cli::pipe(&error))?;
        return Ok(0);
    }
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&target)
        .and_then(|mut file| file.write_all(&archive))
        .map_err(|error| path_error("open", &target, &error))?;
    cli.complain(&format!("Written file {}", crate::quote(&target)))?;
    Ok(0)
}

fn pack(metadata: &Metadata, pems: &store::Pems) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, bytes)
    };
    add(
        "meta.json",
        tar::EntryType::Regular,
        0o644,
        metadata.0.to_string().as_bytes(),
    )?;
    add("tls", tar::EntryType::Directory, 0o700, &[])?;
    if !pems.is_empty() {
        add("tls/docker", tar::EntryType::Directory, 0o700, &[])?;
    }
    for (pem, bytes) in pems {
        add(
            &format!("tls/docker/{pem}"),
            tar::EntryType::Regular,
            0o600,
            bytes,
        )?;
    }
    Ok(archive.into_inner()?)
}

fn import(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let [name, source] = matches.args.as_slice() else {
        return Err(Error::new("a context and a file are needed"));
    };
    let store = Store::new(&cli.settings.directory);
    store::check_name(name)?;
    if store.exists(name) {
        return Err(Error::new(format!(
            "context {} already exists",
            crate::quote(name)
        )));
    }
    let mut bytes = Vec::new();
    if source == "-" {
        std::io::stdin()
            .lock()
            .take(LIMIT + 1)
            .read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(source)
            .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes))
            .map_err(|error| path_error("open", source, &error))?;
    }
    if bytes.len() as u64 > LIMIT {
        return Err(Error::new("the archive is too large to be a context"));
    }
    let (metadata, pems) = unpack(&bytes)?;
    store.write(&metadata.named(name), Some(&pems))?;
    cli.line(name)?;
    cli.complain(&format!(
        "Successfully imported context {}",
        crate::quote(name)
    ))?;
    Ok(0)
}

fn unpack(bytes: &[u8]) -> Result<(Metadata, store::Pems)> {
    let bad = |reason: String| Error::new(format!("unexpected context file: {reason}"));
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(bad(
            "zip archives are not supported, export the context as tar".to_owned(),
        ));
    }
    let mut metadata = None;
    let mut pems = Vec::new();
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() == tar::EntryType::Directory {
            continue;
        }
        let path = entry.path()?.display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        match path.as_str() {
            "meta.json" => {
                let document: serde_json::Value = serde_json::from_slice(&content)
                    .map_err(|error| bad(format!("meta.json: {error}")))?;
                if !document["Endpoints"].is_object() || !document["Metadata"].is_object() {
                    return Err(bad("meta.json is not about a context".to_owned()));
                }
                metadata = Some(Metadata(document));
            }
            other => match other.strip_prefix("tls/docker/") {
                // Names are taken from the list alone: the archive is somebody else's.
                Some(pem) if PEMS.contains(&pem) => pems.push((pem.to_owned(), content)),
                _ => return Err(bad(crate::quote(other))),
            },
        }
    }
    let metadata = metadata.ok_or_else(|| Error::new("invalid context: no metadata found"))?;
    Ok((metadata, pems))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_survives_the_journey() {
        let metadata = Metadata::new("a", "words", "tcp://x:1", true);
        let pems = vec![("ca.pem".to_owned(), b"-----BEGIN x".to_vec())];
        let archive = pack(&metadata, &pems).unwrap();
        assert_eq!(unpack(&archive).unwrap(), (metadata, pems));
    }

    #[test]
    fn an_archive_with_other_files_is_refused() {
        let metadata = Metadata::new("a", "", "", false);
        let archive = pack(&metadata, &vec![("../../x".to_owned(), Vec::new())]);
        // The writer refuses such names itself; a reader must not depend on it.
        assert!(archive.is_err() || unpack(&archive.unwrap()).is_err());
        let archive = pack(&metadata, &vec![("x.pem".to_owned(), Vec::new())]).unwrap();
        assert_eq!(
            unpack(&archive).unwrap_err().message,
            "unexpected context file: \"tls/docker/x.pem\""
        );
    }
}
