//! Memory that a stage freed, given back to the system.

/// Gives freed memory back. glibc keeps what its arenas hold between two blocks still in use, more than a third of what a process with a
/// hundred thousand pairs was seen to take; other allocators do this by themselves.
#[cfg(all(target_os = "linux", target_env = "gnu", not(feature = "jemalloc")))]
#[allow(unsafe_code)]
pub fn give_back_freed() {
    // The one unsafe declaration of this crate: glibc's own function, which takes no pointer and is safe to call from any thread.
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    malloc_trim(0);
}

/// Gives freed memory back, which only glibc has to be asked for.
#[cfg(not(all(target_os = "linux", target_env = "gnu", not(feature = "jemalloc"))))]
pub fn give_back_freed() {}
