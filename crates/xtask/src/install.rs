//! Programs, units, completion and group to their places, and away again.
//!
//! All programs are in one folder, because the daemon looks for the others beside itself. With `--destdir` only files
//! are written: what changes the machine (group, systemd) is left to whoever unpacks them.

use crate::packages;
use crate::programs::{Build, HOST, STATIC, call, output, replace, stage};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may use the daemon's socket.
const GROUP: &str = "onggi";
/// Units, from the folder of templates to systemd's.
const UNITS: &[(&str, &str)] = &[
    (
        "onggi.service",
        include_str!("../../../packaging/systemd/onggi.service"),
    ),
    (
        "onggi.socket",
        include_str!("../../../packaging/systemd/onggi.socket"),
    ),
    (
        "onggi-registry.service",
        include_str!("../../../packaging/systemd/onggi-registry.service"),
    ),
];
/// What stands for the folder of programs in a unit.
const BINDIR: &str = "@bindir@";
/// Completions: the shell's word, and where its files belong below the prefix.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "share/bash-completion/completions/onggi"),
    ("zsh", "share/zsh/site-functions/_onggi"),
    ("fish", "share/fish/vendor_completions.d/onggi.fish"),
];

/// Where to.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// Below which folder programs run
    #[arg(long, default_value = "/usr/local")]
    prefix: PathBuf,
    /// Below which folder all files are written, for packages
    #[arg(long, value_name = "FOLDER")]
    destdir: Option<PathBuf>,
}

impl Place {
    /// Where a path of the installed system is written.
    fn at(&self, path: &Path) -> PathBuf {
        match &self.destdir {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    fn bin(&self) -> PathBuf {
        self.prefix.join("bin")
    }

    /// systemd looks below /usr/local too, where local units belong.
    fn units(&self) -> PathBuf {
        self.prefix.join("lib/systemd/system")
    }

    /// Manual pages: section 1 for the programs.
    fn manual(&self) -> PathBuf {
        self.prefix.join("share/man/man1")
    }

    /// Whether the machine itself is installed to.
    fn is_here(&self) -> bool {
        self.destdir.is_none()
    }

    fn check(&self) -> Result<()> {
        if !self.prefix.is_absolute() {
            bail!("--prefix must be absolute: {}", self.prefix.display());
        }
        Ok(())
    }
}

/// Builds and installs.
pub(crate) fn run(place: &Place, from: Option<PathBuf>) -> Result<()> {
    place.check()?;
    let folder = match from {
        Some(folder) => folder,
        None => {
            packages::install(&[packages::BUILD])?;
            stage(Build::Release)?
        }
    };
    let bin = place.at(&place.bin());
    create(&bin)?;
    for name in programs() {
        replace(&folder.join(name), &bin.join(name))?;
        println!("{}", place.bin().join(name).display());
    }
    let units = place.at(&place.units());
    create(&units)?;
    for (name, text) in UNITS {
        let text = text.replace(BINDIR, &place.bin().display().to_string());
        write(&units.join(name), &text)?;
        println!("{}", place.units().join(name).display());
    }
    for (shell, path) in COMPLETIONS {
        let path = place.prefix.join(path);
        let script = output(Command::new(bin.join("onggi")).args(["completion", shell]));
        match script {
            Ok(text) => {
                create(place.at(&path).parent().unwrap_or(Path::new("/")))?;
                write(&place.at(&path), &text)?;
                println!("{}", path.display());
            }
            Err(error) => eprintln!("no completion for {shell}: {error:#}"),
        }
    }
    manual(place)?;
    if place.is_here() {
        group()?;
        if has_systemd() {
            call(Command::new("systemctl").arg("daemon-reload"))?;
            println!("Start it now and at boot: systemctl enable --now onggi.socket onggi.service");
        }
    }
    Ok(())
}

/// Manual pages: the program writes them out of its table of commands.
fn manual(place: &Place) -> Result<()> {
    let share = place.at(&place.prefix.join("share"));
    create(&share)?;
    call(
        Command::new(place.at(&place.bin()).join("onggi"))
            .arg("__manual")
            .arg(&share),
    )?;
    println!("{}/onggi*.1", place.manual().display());
    Ok(())
}

/// Our pages below the prefix.
fn pages(place: &Place) -> impl Iterator<Item = PathBuf> {
    let names = fs::read_dir(place.at(&place.manual()))
        .into_iter()
        .flatten();
    let names = names.flatten().map(|page| page.file_name());
    let ours = names.filter(|name| name.to_str().is_some_and(|n| n.starts_with("onggi")));
    ours.map(|name| place.manual().join(name))
}

/// Removes what [`run`] wrote. Containers, images, configuration and the group stay: they are the user's.
pub(crate) fn remove(place: &Place) -> Result<()> {
    place.check()?;
    if place.is_here() && has_systemd() {
        // Units that were never enabled are no reason to stop.
        let _ = call(Command::new("systemctl").args([
            "disable",
            "--now",
            "onggi.service",
            "onggi.socket",
            "onggi-registry.service",
        ]));
    }
    let bin = place.bin();
    let mut files: Vec<_> = programs().map(|name| bin.join(name)).collect();
    files.extend(UNITS.iter().map(|(name, _)| place.units().join(name)));
    files.extend(COMPLETIONS.iter().map(|(_, path)| place.prefix.join(path)));
    files.extend(pages(place));
    for file in files {
        match fs::remove_file(place.at(&file)) {
            Ok(()) => println!("removed {}", file.display()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        }
    }
    if place.is_here() && has_systemd() {
        call(Command::new("systemctl").arg("daemon-reload"))?;
    }
    println!("Data (/var/lib/onggi), configuration (/etc/onggi) and the group {GROUP} stay.");
    Ok(())
}

fn programs() -> impl Iterator<Item = &'static str> {
    HOST.iter().chain(STATIC).copied()
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| path.display().to_string())
}

/// The group whose members may use the socket; root of the machine in all but name.
fn group() -> Result<()> {
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    if text
        .lines()
        .any(|line| line.split(':').next() == Some(GROUP))
    {
        return Ok(());
    }
    call(Command::new("groupadd").args(["--system", GROUP]))?;
    println!("Who is in the group {GROUP} may use the daemon, which is as good as being root.");
    Ok(())
}

/// Whether systemd runs this machine (sd_booted(3)).
fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Into a folder and out of it again: nothing is left, and nothing else was touched.
    #[test]
    fn into_a_destdir_and_out_again() {
        let root = std::env::temp_dir().join(format!("onggi-install-{}", std::process::id()));
        let built = root.join("built");
        fs::create_dir_all(&built).unwrap();
        for name in programs() {
            // Stands for a program: answers `completion` as ours does.
            fs::write(built.join(name), "#!/bin/sh\necho \"$1 $2\"\n").unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(built.join(name), mode).unwrap();
        }
        let destdir = root.join("dest");
        let place = Place {
            prefix: "/usr".into(),
            destdir: Some(destdir.clone()),
        };
        run(&place, Some(built.clone())).unwrap();
        for name in programs() {
            assert!(destdir.join("usr/bin").join(name).is_file(), "{name}");
        }
        let service =
            fs::read_to_string(destdir.join("usr/lib/systemd/system/onggi.service")).unwrap();
        for line in [
            "ExecStart=/usr/bin/onggid -H fd://",
            "Delegate=yes",
            "KillMode=process",
            "Type=notify",
        ] {
            assert!(service.contains(line), "{line} is not in {service}");
        }
        assert!(!service.contains(BINDIR));
        let socket =
            fs::read_to_string(destdir.join("usr/lib/systemd/system/onggi.socket")).unwrap();
        assert!(socket.contains("ListenStream=/run/onggi/onggi.sock"));
        assert!(socket.contains("SocketGroup=onggi"));
        let bash = destdir.join("usr/share/bash-completion/completions/onggi");
        assert_eq!(fs::read_to_string(bash).unwrap(), "completion bash\n");
        // Again, over what is there, as an upgrade does.
        run(&place, Some(built)).unwrap();
        remove(&place).unwrap();
        let left = crate::documents::files(&destdir, "service").unwrap();
        assert!(left.is_empty(), "{left:?}");
        assert!(
            fs::read_dir(destdir.join("usr/bin"))
                .unwrap()
                .next()
                .is_none()
        );
        // What is not there is no error.
        remove(&place).unwrap();
        assert!(
            run(
                &Place {
                    prefix: "here".into(),
                    destdir: None
                },
                None
            )
            .is_err()
        );
        fs::remove_dir_all(root).unwrap();
    }
}
