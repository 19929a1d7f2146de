//! The memory of this process.

/// Gives free pages of the heap back to the kernel: for processes that live long and small after a busy moment.
pub fn trim() {
    // SAFETY: takes a number and touches only the allocator's own free lists.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
