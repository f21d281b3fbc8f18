//! What SLURM's variables say beyond numbers: whether srun started this process, and where its first task is.

use super::launch::{Variables, port_of};
use crate::error::{ModelError, Result};

/// The lowest of the numbers that SLURM keeps for steps that are none: batch scripts, interactive shells, waiting and external ones.
const FIRST_RESERVED_STEP: u32 = 0xffff_fff0;

/// Tells whether this process is a task of a step, and not the one shell or script of an allocation.
pub(super) fn is_task(variables: &Variables) -> Result<bool> {
    let step: Option<u32> = variables.number("SLURM_STEP_ID")?;
    Ok(step.is_some_and(|step| step < FIRST_RESERVED_STEP) && variables.has("SLURM_PROCID"))
}

/// The host of task 0, which is the first of the step's list; where no list is set, the one that started the tasks.
pub(super) fn first_host(variables: &Variables) -> Result<Option<String>> {
    for name in ["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"] {
        if let Some(list) = variables.get(name) {
            let wrong = || ModelError::config(name, format!("is {list:?}, which is no list of hosts"));
            return first_of_list(list.trim()).map(Some).ok_or_else(wrong);
        }
    }
    Ok(variables.get("SLURM_LAUNCH_NODE_IPADDR"))
}

/// A port that all tasks of a step compute alike. Two steps of one job may run at once, so the step counts too.
pub(super) fn port(variables: &Variables) -> Result<Option<u16>> {
    let step: u32 = variables.number("SLURM_STEP_ID")?.unwrap_or(0);
    Ok(variables.number::<u64>("SLURM_JOB_ID")?.map(|job| port_of(&format!("{job}.{step}"))))
}

/// The first host of `a1,b2`, `gpu[003-010,12]`, `r[1-2]n[1-4]` or `n[1-2]-ib`.
fn first_of_list(list: &str) -> Option<String> {
    let mut host = String::new();
    let mut rest = list;
    loop {
        let end = rest.find(['[', ']', ',']).unwrap_or(rest.len());
        host.push_str(&rest[..end]);
        match rest[end..].chars().next() {
            None | Some(',') => break,
            Some('[') => {
                let (ranges, after) = rest[end + 1..].split_once(']')?;
                let first = ranges.split([',', '-']).next().filter(|first| !first.is_empty())?;
                if !first.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                host.push_str(first);
                rest = after;
            }
            Some(_) => return None,
        }
    }
    (!host.is_empty() && !host.contains(char::is_whitespace)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_host_of_a_list_keeps_its_zeros() {
        let cases = [
            ("node7", Some("node7")),
            ("a1,b2", Some("a1")),
            ("gpu[003-010,12],cpu1", Some("gpu003")),
            ("gpu[5,7]", Some("gpu5")),
            ("r[1-2]n[08-9]", Some("r1n08")),
            ("n[1-2]-ib.example", Some("n1-ib.example")),
            ("gpu[003-010", None),
            ("gpu[]", None),
            ("gpu[a-b]", None),
            ("gpu]", None),
            ("", None),
        ];
        for (list, expected) in cases {
            assert_eq!(first_of_list(list).as_deref(), expected, "{list}");
        }
    }
}
