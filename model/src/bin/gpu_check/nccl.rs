//! NCCL with one rank: joins, exchanges both dtypes, and gives back what it got.

use candle_core::{DType, Device, Tensor};
use secprm_model::Collective;
use secprm_model::collective::nccl::NcclRank;

use crate::Result;
use crate::measure::seconds;
use crate::options::Options;
use crate::report::{limited, number};

const NUMBERS: usize = 64 << 20;

/// Checks each operation and times the large ones.
pub fn run(device: &Device, _: &Options) -> Result<()> {
    let rank = NcclRank::new(device, 0, 1, &NcclRank::unique_id()?)?;
    let mut sums = [1.5, -2.0];
    rank.sum(&mut sums)?;
    limited("nccl", "sum of scalars, one rank", (sums[0] - 1.5).abs() + (sums[1] + 2.0).abs(), "absolute", 0.0);
    let bytes: Vec<u8> = (0..=255).collect();
    let differ = f64::from(u8::from(rank.broadcast(bytes.clone())? != bytes));
    limited("nccl", "broadcast of bytes, one rank", differ, "differ", 0.0);
    for (dtype, name) in [(DType::F32, "f32"), (DType::BF16, "bf16")] {
        let whole = Tensor::randn(0f32, 1f32, NUMBERS, device)?.to_dtype(dtype)?;
        let again = rank.all_gather(&rank.reduce_scatter(&whole)?)?;
        let difference = (again.to_dtype(DType::F32)? - whole.to_dtype(DType::F32)?)?.abs()?.max_all()?;
        let what = format!("reduce-scatter and all-gather, one rank, {name}");
        limited("nccl", &what, f64::from(difference.to_scalar::<f32>()?), "absolute", 0.0);
        let taken = seconds(device, 3, || {
            rank.all_gather(&rank.reduce_scatter(&whole)?)?;
            Ok(())
        })?;
        number("nccl", &format!("{what}, {} million numbers", NUMBERS >> 20), taken * 1e3, "ms");
    }
    Ok(())
}
