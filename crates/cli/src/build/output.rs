//! `--output`, `--load` and `--push`: where the result of a build goes.

use onggi_model::{ImageRef, csv};

use crate::args::Matches;
use crate::cli::is_terminal;
use crate::error::{Error, Result};

/// A place for the result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// The daemon keeps the image, with these further names.
    Image { names: Vec<String>, push: bool },
    /// An archive as `save` makes it, in a file; `-` is standard output.
    Archive { destination: String, is_oci: bool },
    /// A layout of OCI in a directory.
    Layout(String),
    /// The files of the image, in a directory.
    Local(String),
    /// The files of the image in a tar; `-` is standard output.
    Tar(String),
}

/// What the flags ask for; nothing of them is that the daemon keeps the image.
///
/// # Errors
/// What cannot be.
pub(super) fn outputs(matches: &Matches) -> Result<Vec<Output>> {
    let mut all = Vec::new();
    for text in matches.all("output") {
        all.push(parse(text)?);
    }
    let keep = |push| Output::Image {
        names: Vec::new(),
        push,
    };
    if matches.on("push") {
        all.push(keep(true));
    }
    if matches.on("load") {
        all.push(keep(false));
    }
    if all.iter().filter(|output| output.is_stdout()).count() > 1 {
        return Err(Error::new("only one output can go to standard output"));
    }
    Ok(all)
}

/// The names that the image gets: those of `--tag`, unless only its files are asked for, and those of outputs.
pub(super) fn names(matches: &Matches, outputs: &[Output]) -> Vec<String> {
    let mut names = Vec::new();
    let files_alone = !outputs.is_empty()
        && outputs
            .iter()
            .all(|output| matches!(output, Output::Local(_) | Output::Tar(_)));
    if !files_alone {
        names = matches.list("tag");
    }
    for output in outputs {
        if let Output::Image { names: more, .. } = output {
            names.extend(more.iter().cloned());
        }
    }
    names
}

impl Output {
    /// Whether it is written to standard output, which nothing else may write to then.
    pub(super) fn is_stdout(&self) -> bool {
        match self {
            Output::Archive { destination, .. } | Output::Tar(destination) => destination == "-",
            Output::Image { .. } | Output::Layout(_) | Output::Local(_) => false,
        }
    }
}

fn parse(text: &str) -> Result<Output> {
    let fields = csv(text);
    if let [alone] = &fields[..]
        && alone == text
        && !text.starts_with("type=")
    {
        return match text {
            "" => Err(Error::new(
                "invalid empty output: name a directory, or a type",
            )),
            "-" => to("-", "tar").map(Output::Tar),
            path => Ok(Output::Local(path.to_owned())),
        };
    }
    let (mut kind, mut destination) = (String::new(), String::new());
    let (mut names, mut push, mut tar) = (Vec::new(), false, true);
    for field in &fields {
        let Some((key, value)) = field.split_once('=') else {
            return Err(Error::new(format!("invalid value {field}")));
        };
        let truth = || match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(Error::new(format!(
                "non-bool value specified for {key}: {value}"
            ))),
        };
        match key.trim().to_lowercase().as_str() {
            "type" => kind = value.to_owned(),
            "dest" => destination = value.to_owned(),
            "name" => {
                for name in value.split(',').filter(|name| !name.is_empty()) {
                    ImageRef::parse_untagged(name)
                        .map_err(|error| Error::new(format!("--output {text}: {error}")))?;
                    names.push(name.to_owned());
                }
            }
            "push" => push = truth()?,
            "tar" => tar = truth()?,
            other => {
                return Err(Error::new(format!(
                    "--output {text}: {other} is not supported: there are type, dest, name, push and tar"
                )));
            }
        }
    }
    let unnamed = |output| match names.is_empty() && !push {
        true => Ok(output),
        false => Err(Error::new(format!(
            "--output {text}: only images have a name and can be pushed: use --tag"
        ))),
    };
    match kind.as_str() {
        "" => Err(Error::new(format!("type is required for output {text}"))),
        "local" if matches!(destination.as_str(), "" | "-") => {
            Err(Error::new("dest is required for local output"))
        }
        "local" => unnamed(Output::Local(destination)),
        "tar" => unnamed(Output::Tar(to(&destination, "tar")?)),
        "oci" if !tar && !matches!(destination.as_str(), "" | "-") => {
            unnamed(Output::Layout(destination))
        }
        "oci" => unnamed(Output::Archive {
            destination: to(&destination, "oci")?,
            is_oci: true,
        }),
        "docker" if !destination.is_empty() => unnamed(Output::Archive {
            destination: to(&destination, "docker")?,
            is_oci: false,
        }),
        "docker" => Ok(Output::Image { names, push: false }),
        "image" | "registry" if !destination.is_empty() => Err(Error::new(format!(
            "--output {text}: an image of type {kind} goes to no file: use type=docker or type=oci"
        ))),
        "image" => Ok(Output::Image { names, push }),
        "registry" => Ok(Output::Image { names, push: true }),
        other => Err(Error::new(format!(
            "--output {text}: unknown type {other}: there are local, tar, oci, docker, image and registry"
        ))),
    }
}

/// A file, or standard output where that is no terminal.
fn to(destination: &str, kind: &str) -> Result<String> {
    match destination {
        "" | "-" if is_terminal(std::io::stdout()) => Err(Error::new(format!(
            "dest file is required for {kind} exporter. refusing to write to console"
        ))),
        "" => Ok("-".to_owned()),
        path => Ok(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::flags::FLAGS;
    use super::*;
    use crate::args::{Positionals, parse::parse};

    fn of(args: &[&str]) -> Result<(Vec<Output>, Vec<String>)> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let matches = parse(&[FLAGS], Positionals::Mixed, &args).expect("flags of build");
        let outputs = outputs(&matches)?;
        let names = names(&matches, &outputs);
        Ok((outputs, names))
    }

    #[test]
    fn outputs_are_those_of_buildx() {
        let image = |names: &[&str], push| Output::Image {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            push,
        };
        let archive = |destination: &str, is_oci| Output::Archive {
            destination: destination.to_owned(),
            is_oci,
        };
        for (text, wanted) in [
            ("out", Output::Local("out".to_owned())),
            ("type=local,dest=a=b", Output::Local("a=b".to_owned())),
            ("type=tar,dest=x.tar", Output::Tar("x.tar".to_owned())),
            ("type=oci,dest=x", archive("x", true)),
            ("type=oci,dest=x,tar=false", Output::Layout("x".to_owned())),
            ("type=docker,dest=x", archive("x", false)),
            ("type=docker", image(&[], false)),
            ("type=docker,name=a", image(&["a"], false)),
            (
                "type=image,\"name=a,b\",push=true",
                image(&["a", "b"], true),
            ),
            ("type=registry,name=r/a", image(&["r/a"], true)),
        ] {
            let found = of(&["-o", text]).map(|(outputs, _)| outputs);
            assert_eq!(found, Ok(vec![wanted]), "{text}");
        }
        let found = of(&["--push", "--load", "-t", "a"]).expect("outputs");
        assert_eq!(found.0, [image(&[], true), image(&[], false)]);
    }

    #[test]
    fn names_are_for_images() {
        let names = |args: &[&str]| of(args).expect("outputs").1;
        assert_eq!(names(&["-t", "a"]), ["a"]);
        assert_eq!(names(&["-t", "a", "-o", "out"]), [""; 0]);
        assert_eq!(names(&["-t", "a", "-o", "out", "--load"]), ["a"]);
        assert_eq!(names(&["-t", "a", "-o", "type=image,name=b"]), ["a", "b"]);
        assert_eq!(names(&["-t", "a", "-o", "type=oci,dest=x"]), ["a"]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, wanted) in [
            ("dest=x,tar=true", "type is required for output dest=x"),
            ("type=local", "dest is required for local output"),
            ("type=nothing,dest=x", "unknown type nothing"),
            (
                "type=image,compression=zstd",
                "compression is not supported",
            ),
            (
                "type=image,push=maybe",
                "non-bool value specified for push: maybe",
            ),
            ("type=image,dest=x", "goes to no file"),
            ("type=tar,dest=x,name=a", "only images have a name"),
            ("type=image,x", "invalid value x"),
            ("", "invalid empty output"),
        ] {
            let refused = of(&["-o", text]).expect_err(text);
            assert!(
                refused.message.contains(wanted),
                "{text}: {}",
                refused.message
            );
        }
    }
}
