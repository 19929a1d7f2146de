//! A disk that forgets: it takes writes at once, as disks with a cache do, and when the power is cut it has kept only some
//! of those that no flush covered, in an order of its own.
//!
//! Served over the NBD protocol (doc/proto.md of the NBD project) on a unix socket, for QEMU. Killing QEMU alone would
//! prove nothing: what the guest wrote would be in the host's page cache.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is kept or lost as one.
const SECTOR: usize = 512;

const MAGIC: u64 = 0x4e42_444d_4147_4943;
const OPTIONS: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;
/// The largest request that is taken; QEMU asks for no more than 32 MiB.
const LARGEST: u32 = 64 << 20;

/// Fixed new style, without 124 zeros.
const HANDSHAKE: u16 = 0b11;
/// There are flags; flush and force unit access are understood.
const ABLE: u16 = 0b1101;

const GO: u32 = 7;
const EXPORT_NAME: u32 = 1;
const ABORT: u32 = 2;

/// The disk. Dropping it ends its server.
#[derive(Debug)]
pub struct ForgetfulDisk {
    socket: PathBuf,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    size: u64,
    /// Since the last flush: sectors by number, newest content; and the writes that made them, in their order.
    newest: BTreeMap<u64, Vec<u8>>,
    writes: Vec<(u64, Vec<u8>)>,
    /// Counts cuts: a connection from before one writes nothing any more.
    life: u64,
}

impl ForgetfulDisk {
    /// Serves the file at `image` on a socket at `socket`.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub fn serve(image: &Path, socket: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).open(image)?;
        let size = file.metadata()?.len();
        let shared = Arc::new(Mutex::new(Shared {
            file,
            size,
            newest: BTreeMap::new(),
            writes: Vec::new(),
            life: 0,
        }));
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket).context("bind the disk's socket")?;
        let server = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = server.clone();
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Ok(Self {
            socket: socket.to_owned(),
            shared,
        })
    }

    /// Cuts the power: of each write that no flush covered, `random` decides what is kept, sector by sector, and which
    /// write is the last one. Returns how many writes there were.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn cut(&self, mut random: impl FnMut() -> u64) -> Result<usize> {
        let mut disk = lock(&self.shared);
        disk.life += 1;
        disk.newest.clear();
        let mut writes = std::mem::take(&mut disk.writes);
        let count = writes.len();
        while !writes.is_empty() {
            let at = usize::try_from(random())? % writes.len();
            let (offset, data) = writes.swap_remove(at);
            // All, nothing, or a part: as it was on its way.
            let kept = match random() % 3 {
                0 => continue,
                1 => data.len(),
                _ => usize::try_from(random())? % (data.len() / SECTOR + 1) * SECTOR,
            };
            disk.file.write_all_at(&data[..kept], offset)?;
        }
        Ok(count)
    }
}

impl Drop for ForgetfulDisk {
    fn drop(&mut self) {
        // The thread that listens goes with the process: nobody finds its socket any more.
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(out, offset)?;
        let sector = SECTOR as u64;
        let first = offset / sector;
        let last = (offset + out.len() as u64).div_ceil(sector);
        for (number, content) in self.newest.range(first..last) {
            let at = usize::try_from(number * sector - offset)?;
            out[at..at + SECTOR].copy_from_slice(content);
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, data: Vec<u8>) {
        for (number, content) in data.chunks(SECTOR).enumerate() {
            let sector = offset / SECTOR as u64 + number as u64;
            self.newest.insert(sector, content.to_vec());
        }
        self.writes.push((offset, data));
    }

    /// All of it is there to stay.
    fn flush(&mut self) -> Result<()> {
        for (offset, data) in std::mem::take(&mut self.writes) {
            self.file.write_all_at(&data, offset)?;
        }
        self.newest.clear();
        Ok(())
    }
}

fn serve(mut stream: UnixStream, shared: &Mutex<Shared>) -> Result<()> {
    let (size, life) = {
        let disk = lock(shared);
        (disk.size, disk.life)
    };
    stream.write_all(&MAGIC.to_be_bytes())?;
    stream.write_all(&OPTIONS.to_be_bytes())?;
    stream.write_all(&HANDSHAKE.to_be_bytes())?;
    let _client: [u8; 4] = take(&mut stream)?;
    negotiate(&mut stream, size)?;
    loop {
        let magic = u32::from_be_bytes(take(&mut stream)?);
        let flags = u16::from_be_bytes(take(&mut stream)?);
        let kind = u16::from_be_bytes(take(&mut stream)?);
        let handle: [u8; 8] = take(&mut stream)?;
        let offset = u64::from_be_bytes(take(&mut stream)?);
        let length = u32::from_be_bytes(take(&mut stream)?);
        let whole =
            offset.is_multiple_of(SECTOR as u64) && (length as usize).is_multiple_of(SECTOR);
        if magic != REQUEST || length > LARGEST || !whole {
            bail!("a request that is none: {magic:x} {offset} {length}");
        }
        let mut data = Vec::new();
        let mut read = Vec::new();
        if kind == 1 {
            data.resize(length as usize, 0);
            stream.read_exact(&mut data)?;
        }
        {
            let mut disk = lock(shared);
            if disk.life != life {
                bail!("the power was cut");
            }
            match kind {
                0 => {
                    read.resize(length as usize, 0);
                    disk.read(offset, &mut read)?;
                }
                1 => {
                    disk.write(offset, data);
                    if flags & 1 != 0 {
                        disk.flush()?;
                    }
                }
                2 => return disk.flush(),
                3 => disk.flush()?,
                other => bail!("command {other} was not offered"),
            }
        }
        let mut reply = REPLY.to_be_bytes().to_vec();
        reply.extend_from_slice(&[0; 4]);
        reply.extend_from_slice(&handle);
        reply.extend_from_slice(&read);
        stream.write_all(&reply)?;
    }
}

/// Until the client has chosen the one disk there is.
fn negotiate(stream: &mut UnixStream, size: u64) -> Result<()> {
    loop {
        let magic = u64::from_be_bytes(take(stream)?);
        let option = u32::from_be_bytes(take(stream)?);
        let length = u32::from_be_bytes(take(stream)?);
        if magic != OPTIONS || length > 65536 {
            bail!("not a client of NBD");
        }
        let mut data = vec![0; length as usize];
        stream.read_exact(&mut data)?;
        let mut answer = |kind: u32, data: &[u8]| -> Result<()> {
            let mut reply = OPTION_REPLY.to_be_bytes().to_vec();
            reply.extend_from_slice(&option.to_be_bytes());
            reply.extend_from_slice(&kind.to_be_bytes());
            reply.extend_from_slice(&u32::try_from(data.len())?.to_be_bytes());
            reply.extend_from_slice(data);
            Ok(stream.write_all(&reply)?)
        };
        let mut export = size.to_be_bytes().to_vec();
        export.extend_from_slice(&ABLE.to_be_bytes());
        match option {
            GO => {
                let info = [&0_u16.to_be_bytes()[..], &export].concat();
                // The size and what is understood; sectors; that is all.
                answer(3, &info)?;
                let sizes = [SECTOR as u32, 4096, 32 << 20]
                    .map(u32::to_be_bytes)
                    .concat();
                answer(3, &[&3_u16.to_be_bytes()[..], &sizes].concat())?;
                return answer(1, &[]);
            }
            EXPORT_NAME => return Ok(stream.write_all(&export)?),
            ABORT => bail!("the client changed its mind"),
            // Not understood, which is an answer too.
            _ => answer((1 << 31) + 1, &[])?,
        }
    }
}

fn take<const N: usize>(stream: &mut UnixStream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(folder: &Path) -> Result<(ForgetfulDisk, Vec<u8>)> {
        let image = folder.join("disk");
        let content = vec![1; 64 * SECTOR];
        std::fs::write(&image, &content)?;
        let disk = ForgetfulDisk::serve(&image, &folder.join("socket"))?;
        Ok((disk, content))
    }

    #[test]
    fn what_was_flushed_is_kept_and_the_rest_in_part() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (disk, mut content) = disk(folder.path())?;
        {
            let mut shared = lock(&disk.shared);
            shared.write(SECTOR as u64, vec![2; 2 * SECTOR]);
            shared.flush()?;
            for number in 0..30 {
                shared.write((4 + number) * SECTOR as u64, vec![3; SECTOR]);
            }
            let mut read = vec![0; 6 * SECTOR];
            shared.read(0, &mut read)?;
            assert_eq!(read[0], 1);
            assert_eq!(read[2 * SECTOR], 2);
            assert_eq!(read[5 * SECTOR], 3, "what is not kept yet is read");
        }
        let mut state = 7_u64;
        let cut = disk.cut(|| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            state >> 33
        })?;
        assert_eq!(cut, 30);
        content[SECTOR..3 * SECTOR].fill(2);
        let left = std::fs::read(folder.path().join("disk"))?;
        assert_eq!(left[..4 * SECTOR], content[..4 * SECTOR]);
        let kept = left.chunks(SECTOR).filter(|sector| sector[0] == 3).count();
        assert!((1..30).contains(&kept), "{kept} of 30 writes were kept");
        Ok(())
    }
}
