#![allow(clippy::unwrap_used)]
use super::launch::{Endpoint, Launch, Launcher, port_of};
use crate::error::{ErrorKind, Result};

/// Reads `A=1 B=2`.
fn launch(variables: &str) -> Result<Launch> {
    let pairs: Vec<_> = variables.split_whitespace().map(|pair| pair.split_once('=').unwrap()).collect();
    Launch::from_env(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

fn refused(variables: &str) -> String {
    let error = launch(variables).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.to_string()
}

fn at(host: &str, port: u16) -> Option<Endpoint> {
    Some(Endpoint { host: host.to_owned(), port })
}

const TORCHRUN: &str = "RANK=5 WORLD_SIZE=8 LOCAL_RANK=1 LOCAL_WORLD_SIZE=4 MASTER_ADDR=gpu1 MASTER_PORT=29500";
const STEP: &str = "SLURM_JOB_ID=77 SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_LOCALID=1 SLURM_JOB_NODELIST=gpu[03-04]";

#[test]
fn nothing_set_is_one_rank() {
    assert_eq!(launch("PATH=/bin RANK=").unwrap(), Launch::alone());
}

#[test]
fn torchrun_puts_the_ranks_one_port_above_its_store() {
    let expected = Launch {
        launcher: Launcher::Torchrun,
        rank: 5,
        ranks: 8,
        local_rank: 1,
        one_host: false,
        rendezvous: at("gpu1", 29501),
        chosen: true,
    };
    assert_eq!(launch(TORCHRUN).unwrap(), expected);
}

#[test]
fn an_explicit_place_is_taken_before_all_others() {
    let place = |text: &str| launch(&format!("{TORCHRUN} SECPRM_RENDEZVOUS={text}")).map(|launch| launch.rendezvous);
    assert_eq!(place("head:4000").unwrap(), at("head", 4000));
    assert_eq!(place("[fe80::1]:4000").unwrap(), at("fe80::1", 4000));
    assert_eq!(at("fe80::1", 4000).unwrap().to_string(), "[fe80::1]:4000");
    for wrong in ["head", "head:", ":4000", "head:port", "head:0", "head:70000"] {
        assert!(refused(&format!("{TORCHRUN} SECPRM_RENDEZVOUS={wrong}")).starts_with("SECPRM_RENDEZVOUS: is \""));
    }
}

#[test]
fn a_step_of_srun_has_as_many_ranks_as_tasks() {
    let found = launch(&format!("{STEP} SLURM_NTASKS=16 SLURM_STEP_NUM_TASKS=4")).unwrap();
    assert_eq!((found.launcher, found.rank, found.ranks, found.local_rank), (Launcher::Slurm, 3, 4, 1));
    assert_eq!((found.rendezvous, found.chosen), (at("gpu03", port_of("77.0")), false));
    let found = launch(&format!("{STEP} SLURM_NTASKS=4 SLURM_STEP_NODELIST=gpu09 MASTER_PORT=4000")).unwrap();
    assert_eq!((found.ranks, found.rendezvous), (4, at("gpu09", 4001)));
    let without_list = STEP.replace("SLURM_JOB_NODELIST=gpu[03-04]", "SLURM_LAUNCH_NODE_IPADDR=10.0.0.7");
    let found = launch(&format!("{without_list} SLURM_NTASKS=4")).unwrap();
    assert_eq!(found.rendezvous, at("10.0.0.7", port_of("77.0")));
    assert!((20_000..32_000).contains(&port_of("77.0")));
}

#[test]
fn an_allocation_without_srun_is_one_rank() {
    let allocation = "SLURM_JOB_ID=77 SLURM_NTASKS=4 SLURM_JOB_NODELIST=gpu[03-04]";
    for shell in [
        String::new(),
        // A batch script, and an interactive shell as a step of its own.
        "SLURM_PROCID=0 SLURM_LOCALID=0".to_owned(),
        "SLURM_PROCID=0 SLURM_STEP_ID=4294967290".to_owned(),
        "SLURM_PROCID=0 SLURM_STEP_ID=4294967291".to_owned(),
        // `srun --pty`: a step of one task in an allocation of four.
        "SLURM_PROCID=0 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=1".to_owned(),
    ] {
        let found = launch(&format!("{allocation} {shell}")).unwrap();
        assert_eq!((found.rank, found.ranks), (0, 1), "{shell}");
    }
}

#[test]
fn mpirun_inside_slurm_counts_and_not_the_daemons_numbers() {
    let open_mpi = "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=8 OMPI_COMM_WORLD_LOCAL_RANK=2 PMIX_NAMESPACE=271358";
    let found = launch(&format!("{STEP} SLURM_NTASKS=2 OMPI_COMM_WORLD_LOCAL_SIZE=4 {open_mpi}")).unwrap();
    assert_eq!((found.launcher, found.rank, found.ranks, found.local_rank), (Launcher::OpenMpi, 2, 8, 2));
    assert_eq!(found.rendezvous, None, "only MPI itself knows the hosts");
    let found = launch(&format!("OMPI_COMM_WORLD_LOCAL_SIZE=8 {open_mpi}")).unwrap();
    assert_eq!(found.rendezvous, at("127.0.0.1", port_of("271358")));
    let found = launch("PMI_RANK=1 PMI_SIZE=2 MPI_LOCALRANKID=1 MASTER_ADDR=gpu1 MASTER_PORT=4000").unwrap();
    assert_eq!((found.launcher, found.rank, found.ranks, found.local_rank), (Launcher::Pmi, 1, 2, 1));
    assert_eq!(found.rendezvous, at("gpu1", 4001));
}

#[test]
fn what_contradicts_itself_is_refused_by_name() {
    let cases = [
        ("RANK=1", "WORLD_SIZE: is not set, but RANK is: set both, or neither for one rank"),
        ("WORLD_SIZE=2", "RANK: is not set, but WORLD_SIZE is: set both, or neither for one rank"),
        ("RANK=2 WORLD_SIZE=2", "RANK: is 2, but ranks are numbered from 0 and WORLD_SIZE is 2"),
        ("RANK=-1 WORLD_SIZE=2", "RANK: is \"-1\", which is no number in range"),
        ("RANK=0 WORLD_SIZE=two", "WORLD_SIZE: is \"two\", which is no number in range"),
        ("RANK=0 WORLD_SIZE=2 LOCAL_RANK=2", "LOCAL_RANK: is 2, but WORLD_SIZE is 2"),
        ("RANK=0 WORLD_SIZE=8 LOCAL_RANK=4 LOCAL_WORLD_SIZE=4", "LOCAL_RANK: is 4, but LOCAL_WORLD_SIZE is 4"),
        ("OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE: is not set, but OMPI_COMM_WORLD_RANK is"),
        ("SLURM_STEP_ID=0 SLURM_PROCID=0", "SLURM_NTASKS: is not set, but SLURM_PROCID is"),
        ("SLURM_STEP_ID=x", "SLURM_STEP_ID: is \"x\""),
        ("RANK=0 WORLD_SIZE=2", "MASTER_ADDR: is not set, but WORLD_SIZE is 2"),
        ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=a", "MASTER_PORT: is not set, but WORLD_SIZE is 2"),
        ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=65535", "MASTER_PORT: is 65535: the ranks meet one port above"),
        ("SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_JOB_NODELIST=a[", "SLURM_JOB_NODELIST: is \"a[\""),
    ];
    for (variables, message) in cases {
        let error = refused(variables);
        assert!(error.starts_with(message), "{variables}: {error}");
    }
}
