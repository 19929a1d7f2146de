//! The only unsafe: safe syscalls over owned descriptors. What rustix has is used from rustix; here is the rest.

pub mod bpf; // cgroup v2 device programs: load, attach, list
pub mod capability; // the five sets of the calling thread
pub mod clone; // clone3 of a single-threaded process
pub mod exec; // execve by path and by descriptor
pub mod fd; // the descriptor table as a whole
pub mod inside; // paths that do not leave a directory
pub mod keyring; // session keyrings
pub mod listen_fds; // sockets from systemd
pub mod loopback; // lo up
pub mod memfd; // sealed copies of programs
pub mod memory; // heap pages given back
pub mod mount; // mount_setattr
pub mod namespace; // setns and unshare
pub mod netlink; // socket options of netlink
pub mod netns; // work inside a network namespace
pub mod process; // wait by pidfd, limits, start times
pub mod pty; // pseudo terminals
pub mod scm; // descriptors over unix sockets
pub mod seccomp; // filter loading
pub mod signal; // reset, block, wait, send
pub mod socket; // what the peer has not read, what the network reports
