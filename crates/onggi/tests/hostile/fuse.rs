//! A file system served by the test that answers for its root and never again: whoever looks up a name in it is stuck in the
//! kernel, and after a signal in uninterruptible sleep. The protocol is that of `linux/fuse.h`.

use anyhow::{Context, Result};
use onggi_testkit::{LIMIT, wait_until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const STATFS: u32 = 17;
const INIT: u32 = 26;
const ACCESS: u32 = 34;
const INTERRUPT: u32 = 36;
const DESTROY: u32 = 38;
const BATCH_FORGET: u32 = 42;
const ENOSYS: i32 = -38;

/// A mounted one. Dropped, it lets go of everybody who waits for it.
pub(crate) struct Silent {
    path: PathBuf,
    asked: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Silent {
    /// Mounts it on a new folder; `None` where this machine has no FUSE.
    pub(crate) fn mount(path: &Path) -> Result<Option<Self>> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let Ok(device) = rustix::fs::open("/dev/fuse", flags, Mode::empty()) else {
            eprintln!("skipped: no /dev/fuse here");
            return Ok(None);
        };
        std::fs::create_dir_all(path)?;
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
            device.as_raw_fd()
        );
        let options = std::ffi::CString::new(options)?;
        let none = rustix::mount::MountFlags::empty();
        rustix::mount::mount("silent", path, "fuse", none, options.as_c_str())
            .context("mount a FUSE file system")?;
        let (asked, over) = (Arc::default(), Arc::default());
        let server = {
            let (asked, over) = (Arc::clone(&asked), Arc::clone(&over));
            std::thread::spawn(move || serve(&device, &asked, &over))
        };
        Ok(Some(Self {
            path: path.to_owned(),
            asked,
            over,
            server: Some(server),
        }))
    }

    /// Waits until somebody waits for an answer.
    pub(crate) fn expect_somebody(&self) -> Result<()> {
        wait_until("somebody to look up a name", LIMIT, || {
            (self.asked.load(Ordering::SeqCst) > 0).then_some(())
        })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
        // The device is closed: nothing holds this up.
        let _ = rustix::mount::unmount(&self.path, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Until it is over; the end of the device is the end of all requests.
fn serve(device: &OwnedFd, asked: &AtomicUsize, over: &AtomicBool) {
    let mut buffer = vec![0; 256 * 1024];
    while !over.load(Ordering::SeqCst) {
        let mut list = [PollFd::new(device, PollFlags::IN)];
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        if !matches!(poll(&mut list, Some(&pause)), Ok(1..)) {
            continue;
        }
        let Ok(count @ 40..) = rustix::io::read(device, &mut buffer) else {
            continue;
        };
        let request = &buffer[..count];
        let number = |at: usize| request[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
        let answer = match number(4) {
            LOOKUP => {
                asked.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            FORGET | BATCH_FORGET | INTERRUPT | DESTROY => continue,
            INIT => Ok(init()),
            GETATTR => Ok(root()),
            STATFS => Ok(vec![0; 80]),
            ACCESS => Ok(Vec::new()),
            _ => Err(ENOSYS),
        };
        let error = answer.as_ref().err().copied().unwrap_or(0);
        let body = answer.unwrap_or_default();
        let mut reply = Vec::new();
        reply.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
        reply.extend_from_slice(&error.to_ne_bytes());
        reply.extend_from_slice(&request[8..16]);
        reply.extend_from_slice(&body);
        // Whoever asked may be gone.
        let _ = rustix::io::write(device, &reply);
    }
}

/// `struct fuse_init_out`: version 7.31, nothing special.
fn init() -> Vec<u8> {
    let mut out = Vec::new();
    for number in [7_u32, 31, 0, 0] {
        out.extend_from_slice(&number.to_ne_bytes());
    }
    // max_background and congestion_threshold, then max_write.
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&65_536_u32.to_ne_bytes());
    out.extend_from_slice(&1_u32.to_ne_bytes());
    out.resize(64, 0);
    out
}

/// `struct fuse_attr_out` of a directory that stays as it is.
fn root() -> Vec<u8> {
    let mut out = vec![0; 104];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &3600_u64.to_ne_bytes()); // valid for seconds
    put(16, &1_u64.to_ne_bytes()); // ino
    put(16 + 60, &0o40_755_u32.to_ne_bytes()); // mode
    put(16 + 64, &2_u32.to_ne_bytes()); // nlink
    put(16 + 80, &4096_u32.to_ne_bytes()); // blksize
    out
}
