//! Tries the ranks of an MPI job: every operation against what is computed here, and what happens when a rank dies.
//!
//! `mpirun -n 4 ranks check [MEGABYTES]`, `mpirun -n 4 ranks kill|stop|fail|abort RANK`. `.ci/mpi` runs them.

use std::error::Error;
use std::process::{Command, exit};
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use secprm_model::collective::launch::Launch;
use secprm_model::collective::mpi::MpiRanks;
use secprm_model::collective::rendezvous::DEFAULT_WAIT;
use secprm_model::collective::watch::{End, Watch, WatchOptions};
use secprm_model::{Collective, ErrorKind};

type Outcome = Result<(), Box<dyn Error>>;

/// Numbers that every rank can compute for every other, none of them round.
fn number(rank: usize, index: usize) -> f32 {
    ((index * 7919 + rank * 104_729) % 10_007) as f32 / 1013.0 - 4.0
}

fn tensor(numbers: Vec<f32>) -> candle_core::Result<Tensor> {
    let count = numbers.len();
    Tensor::from_vec(numbers, count, &Device::Cpu)
}

fn expect(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(format!("{what} is wrong").into()) }
}

/// Sums must have the bits of adding in the order of ranks, on all ranks.
fn check_sum(ranks: &MpiRanks, count: usize) -> Outcome {
    let value = |rank: usize, index: usize| f64::from(number(rank, index)) * 10f64.powi((rank * 5) as i32 - 8) + 0.1;
    let mut sums: Vec<f64> = (0..count).map(|index| value(ranks.rank(), index)).collect();
    ranks.sum(&mut sums)?;
    let expected = |index| (0..ranks.ranks()).fold(0.0, |sum, rank| sum + value(rank, index));
    expect(sums.iter().enumerate().all(|(index, sum)| sum.to_bits() == f64::to_bits(expected(index))), "a sum")
}

/// `count` numbers per rank.
fn check_tensors(ranks: &MpiRanks, count: usize) -> Outcome {
    let (own, all) = (ranks.rank(), ranks.ranks());
    let whole = tensor((0..all * count).map(|index| number(own, index)).collect())?;
    let start = Instant::now();
    let part = ranks.reduce_scatter(&whole)?;
    let scattered = start.elapsed();
    let sums = part.to_vec1::<f32>()?;
    expect(sums.len() == count, "the length of what reduce_scatter returns")?;
    for (index, sum) in sums.iter().enumerate() {
        let expected: f64 = (0..all).map(|rank| f64::from(number(rank, own * count + index))).sum();
        expect((f64::from(*sum) - expected).abs() < 1e-5, "what reduce_scatter returns")?;
    }
    let part = tensor((0..count).map(|index| number(own, index)).collect())?;
    let start = Instant::now();
    let gathered = ranks.all_gather(&part)?;
    let collected = start.elapsed();
    let gathered = gathered.to_vec1::<f32>()?;
    expect(gathered.len() == all * count, "the length of what all_gather returns")?;
    let exact = |(index, value): (usize, &f32)| value.to_bits() == number(index / count, index % count).to_bits();
    expect(gathered.iter().enumerate().all(exact), "what all_gather returns")?;
    if own == 0 {
        let megabytes = (4 * all * count) as f64 / 1e6;
        println!("{megabytes:.1} MB over {all} ranks: reduce_scatter {scattered:.0?}, all_gather {collected:.0?}");
    }
    Ok(())
}

fn check_broadcast(ranks: &MpiRanks, count: usize) -> Outcome {
    let bytes: Vec<u8> = (0..count).map(|index| (index % 251) as u8).collect();
    let own = if ranks.is_first() { bytes.clone() } else { vec![9; 5] };
    expect(ranks.broadcast(own)? == bytes, "what broadcast returns")
}

fn check(ranks: &MpiRanks, megabytes: usize) -> Outcome {
    [0, 1, 3, 1_500_000].into_iter().try_for_each(|count| check_sum(ranks, count))?;
    [0, 128, 20_000_000].into_iter().try_for_each(|count| check_broadcast(ranks, count))?;
    let large = megabytes * 1_000_000 / 4 / ranks.ranks();
    [0, 1, 1009, large, large + 1].into_iter().try_for_each(|count| check_tensors(ranks, count))?;
    if ranks.ranks() > 1 {
        let odd = tensor(vec![0.0; ranks.ranks() + 1])?;
        let refused = ranks.reduce_scatter(&odd).err().map(|error| error.kind());
        expect(refused == Some(ErrorKind::Collective), "that an odd length is taken")?;
    }
    let of_doubles = Tensor::zeros(ranks.ranks(), candle_core::DType::F64, &Device::Cpu)?;
    expect(ranks.all_gather(&of_doubles).is_err(), "that f64 tensors are taken")
}

/// Trains in mime; at step 5 the victim does what the mode says.
fn work(ranks: &MpiRanks, watch: &Watch, mode: &str, victim: usize) -> Outcome {
    let signal = |name: &str| Command::new("sh").args(["-c", &format!("kill -{name} $PPID")]).status();
    for step in 1..=1000 {
        watch.progress(step, "sum");
        ranks.sum(&mut [1.0])?;
        std::thread::sleep(Duration::from_millis(50));
        if step == 5 && ranks.rank() == victim {
            match mode {
                "kill" => drop(signal("KILL")?),
                "stop" => drop(signal("STOP")?),
                "abort" => ranks.abort(7),
                "fail" => return Err("loss is NaN".into()),
                _ => return Err(format!("{mode}: no such mode").into()),
            }
        }
    }
    Ok(())
}

fn end(end: End) -> ! {
    eprintln!("ends with {}: {}", end.code, end.cause);
    exit(end.code.into());
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, rest @ ..] = arguments.as_slice() else {
        return Err("usage: ranks check [MEGABYTES] | kill|stop|fail|abort RANK".into());
    };
    let argument = rest.first().map(|text| text.parse()).transpose()?;
    let launch = Launch::from_env(|name| std::env::var(name).ok())?;
    let ranks = MpiRanks::start(&launch)?;
    let second = Duration::from_secs(1);
    let options = WatchOptions { beat: second, silence: 10 * second, ..WatchOptions::default() };
    let met = ranks.meet(&launch, "the example ranks", DEFAULT_WAIT);
    let watch = met.and_then(|group| Watch::start(group, options, |cause| end(cause))).unwrap_or_else(|error| {
        eprintln!("{error}");
        ranks.abort(4)
    });
    let outcome = match mode.as_str() {
        "check" => check(&ranks, argument.unwrap_or(50)),
        _ => work(&ranks, &watch, mode, argument.unwrap_or(ranks.ranks() - 1)),
    };
    if let Err(error) = outcome {
        end(watch.fail(&error.to_string(), 1));
    }
    watch.finish().unwrap_or_else(|cause| end(cause));
    ranks.finish();
    Ok(())
}
