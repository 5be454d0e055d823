//! How much memory this process may take.

use std::fs;
use std::path::{Path, PathBuf};

/// The machine's memory, or less where a control group allows less; `None` where neither is told.
/// `root` is `/`, but for tests.
pub(super) fn available(root: &Path) -> Option<u64> {
    let machine = machine(&root.join("proc/meminfo"));
    let group = group(root);
    machine.into_iter().chain(group).min()
}

fn machine(meminfo: &Path) -> Option<u64> {
    let text = fs::read_to_string(meminfo).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The lowest limit on the way from our group to the top. In a container our group is often shown
/// as the top itself.
fn group(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut limits = Vec::new();
    // v2 has one line, “0::/path”; v1 one a controller, “4:memory:/path”.
    for (mount, file, controllers) in [
        ("sys/fs/cgroup", "memory.max", ""),
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory"),
    ] {
        let top = root.join(mount);
        let ours = text.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let named = parts.next()?.split(',').any(|name| name == controllers);
            parts.next().filter(|_| named)
        });
        let ours: PathBuf = ours.map_or_else(PathBuf::new, |path| {
            // Outside our own mount it says “/../…”.
            let parts = path.split('/').filter(|part| !["", ".."].contains(part));
            parts.collect()
        });
        for folder in ours.ancestors() {
            // “max” is no number: no limit. v1 says so with one near 2^63, which the machine's
            // own memory undercuts.
            let limit = fs::read_to_string(top.join(folder).join(file)).ok();
            limits.extend(limit.and_then(|text| text.trim().parse::<u64>().ok()));
        }
    }
    limits.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn available_of(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        available(root.path())
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:        8388608 kB\nMemFree:  1 kB\n",
    );

    #[test]
    fn the_machine_is_the_bound_where_no_group_is() {
        assert_eq!(available_of(&[]), None);
        assert_eq!(available_of(&[MEMINFO]), Some(8 * GIB));
        let unlimited = ("sys/fs/cgroup/memory.max", "max\n");
        assert_eq!(available_of(&[MEMINFO, unlimited]), Some(8 * GIB));
        let unlimited = (
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        assert_eq!(available_of(&[MEMINFO, unlimited]), Some(8 * GIB));
    }

    #[test]
    fn a_group_lowers_it_in_either_version_and_anywhere_on_the_way() {
        let two = "2147483648\n";
        let container = ("sys/fs/cgroup/memory.max", two);
        assert_eq!(available_of(&[MEMINFO, container]), Some(2 * GIB));
        let old = ("sys/fs/cgroup/memory/memory.limit_in_bytes", two);
        assert_eq!(available_of(&[MEMINFO, old]), Some(2 * GIB));
        let nested = [
            MEMINFO,
            ("proc/self/cgroup", "0::/system.slice/filmlab.service\n"),
            ("sys/fs/cgroup/system.slice/memory.max", two),
            (
                "sys/fs/cgroup/system.slice/filmlab.service/memory.max",
                "max\n",
            ),
        ];
        assert_eq!(available_of(&nested), Some(2 * GIB));
        let nested = [
            MEMINFO,
            ("proc/self/cgroup", "7:cpu:/x\n4:memory:/jobs\n0::/\n"),
            ("sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", two),
        ];
        assert_eq!(available_of(&nested), Some(2 * GIB));
    }
}
