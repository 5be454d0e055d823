//! What a child may take.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// What the kernel lets a child have before it ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Bytes of memory of its own, stacks included.
    pub memory: u64,
    /// Of all its threads together.
    pub cpu: Duration,
}

/// The program itself, its libraries' data, sound, tables, buffers of the pipe: measured below
/// 100 MiB; what is beyond is for what an allocator keeps.
const BASE: u64 = 256 << 20;
/// What a thread of libav or x264 reserves for its stack.
const STACK: u64 = 8 << 20;
/// Decoder and encoder have so many threads each, and x264 some of its own.
const STACKS_PER_THREAD: u64 = 3;

impl Bounds {
    /// For work that is reckoned to take `bytes` on so many threads.
    #[must_use]
    pub fn new(bytes: u64, threads: usize, cpu: Duration) -> Self {
        let stacks = STACK * STACKS_PER_THREAD * threads as u64;
        Self {
            memory: bytes.saturating_add(stacks).saturating_add(BASE),
            cpu,
        }
    }

    /// Puts this process under these bounds, for good.
    pub(super) fn apply(self) -> io::Result<()> {
        // Private memory that can be written: what is mapped and never touched, as the address
        // space that an allocator reserves for each thread, harms nobody.
        set(Resource::Data, self.memory, self.memory)?;
        let seconds = self.cpu.as_secs().max(1);
        // First a signal that says why, then the end.
        set(Resource::Cpu, seconds, seconds.saturating_add(5))
    }
}

/// Three are open, and none of ours is opened; libraries may look at what machine this is.
const DESCRIPTORS: u64 = 16;

/// What no child does, whatever its order: it opens nothing, writes no file and leaves no image
/// of its memory behind.
pub(super) fn close_in() -> io::Result<()> {
    set(Resource::Nofile, DESCRIPTORS, DESCRIPTORS)?;
    set(Resource::Fsize, 0, 0)?;
    set(Resource::Core, 0, 0)
}

fn set(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    // Whoever runs the service may have allowed less; more than that is refused.
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit {
        current: Some(soft.min(most)),
        maximum: Some(hard.min(most)),
    };
    Ok(setrlimit(resource, limit)?)
}
