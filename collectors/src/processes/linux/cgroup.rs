//! `/proc/PID/cgroup`: `hierarchy:controllers:path` lines, from which a container's id can be read.
//!
//! Docker, containerd, CRI-O and Podman name the group of a container after its id of 64 hex digits, bare
//! (`/docker/ID`) or in a scope (`docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`, `libpod-ID.scope`,
//! `kubepods-….slice:cri-containerd:ID`).

const ID_LEN: usize = 64;

/// The id of the innermost container that a line names.
pub fn container_id(text: &[u8]) -> Option<&str> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let path = line.splitn(3, |byte| *byte == b':').nth(2)?;
        path.rsplit(|byte| *byte == b'/').find_map(id_of_segment)
    })
}

fn id_of_segment(segment: &[u8]) -> Option<&str> {
    let segment = segment.strip_suffix(b".scope").unwrap_or(segment);
    let (runtime, id) = segment.split_at_checked(segment.len().checked_sub(ID_LEN)?)?;
    let is_id = id.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    // `crio-conmon-ID.scope` holds the monitor of a container, which is not inside it.
    let is_container = matches!(runtime.last(), None | Some(b'-' | b':')) && !runtime.ends_with(b"conmon-");
    if is_id && is_container { str::from_utf8(id).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "3f4e1c9f0b7a2d5e8c6b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e0d";
    const INNER: &str = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd";

    #[test]
    fn each_runtime_is_known() {
        for path in [
            format!("12:pids:/docker/{ID}\n0::/\n"),
            format!("0::/system.slice/docker-{ID}.scope\n"),
            format!("0::/kubepods.slice/kubepods-pod9.slice/cri-containerd-{ID}.scope\n"),
            format!("0::/kubepods.slice/crio-{ID}.scope/container\n"),
            format!("0::/user.slice/user-1000.slice/libpod-{ID}.scope\n"),
            format!("1:name=systemd:/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}\n"),
            format!("3:cpu,cpuacct:/\n2:memory:/kubepods/burstable/pod1/{ID}\n"),
        ] {
            assert_eq!(container_id(path.as_bytes()), Some(ID), "{path}");
        }
        assert_eq!(container_id(format!("0::/docker/{ID}/docker/{INNER}\n").as_bytes()), Some(INNER));
    }

    #[test]
    fn other_groups_name_none() {
        for path in [
            "0::/user.slice/user-1000.slice/session-2.scope\n".to_owned(),
            format!("0::/machine.slice/libpod-conmon-{ID}.scope\n"),
            format!("0::/x{ID}\n"),
            format!("0::/{}\n", ID.to_uppercase()),
            "0::/\n".to_owned(),
            String::new(),
        ] {
            assert_eq!(container_id(path.as_bytes()), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _either = container_id(&bytes);
        }
    }
}
