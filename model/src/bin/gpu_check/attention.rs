//! Block-wise attention with a 7B's heads: beside all scores at a time, and its speed.

use std::ops::Range;

use candle_core::{D, DType, Device, Tensor, Var};
use secprm_model::blocks::{Heads, causal_attention};

use crate::Result;
use crate::flops::attention_flops;
use crate::measure::seconds;
use crate::options::Options;
use crate::parity::relative;
use crate::report::{limited, number};

const HEADS: Heads = Heads { query: 28, key_value: 4, dim: 128 };

/// Queries, keys and values as variables.
fn inputs(tokens: usize, dtype: DType, device: &Device) -> Result<[Var; 3]> {
    let draw = |heads: usize| -> Result<Var> {
        let drawn = Tensor::randn(0f32, 1f32, (tokens, heads * HEADS.dim), device)?;
        Ok(Var::from_tensor(&drawn.to_dtype(dtype)?)?)
    };
    Ok([draw(HEADS.query)?, draw(HEADS.key_value)?, draw(HEADS.key_value)?])
}

/// Compares output and gradients with the definition, then times longer and longer sequences.
pub fn run(device: &Device, options: &Options) -> Result<()> {
    for (dtype, name, limit) in [(DType::F32, "f32", 1e-4), (DType::BF16, "bf16", 2e-2)] {
        compare(device, dtype, name, limit)?;
    }
    for tokens in [8192, 32_768] {
        time(device, options, tokens)?;
    }
    Ok(())
}

fn compare(device: &Device, dtype: DType, name: &str, limit: f64) -> Result<()> {
    let sequences = [0..1500, 1500..1501, 1501..2800];
    let inputs = inputs(2800, dtype, device)?;
    let tensors = inputs.each_ref().map(|input| input.as_tensor().clone());
    let weights = Tensor::randn(0f32, 1f32, tensors[0].shape(), device)?;
    let [query, key, value] = &tensors;
    let found = causal_attention(query, key, value, HEADS, &sequences, None)?;
    let gradients = (found.to_dtype(DType::F32)? * &weights)?.sum_all()?.backward()?;
    // The definition in f32, of the same rounded inputs.
    let single = tensors.each_ref().map(|tensor| tensor.detach().to_dtype(DType::F32));
    let [query, key, value] = single;
    let variables = [Var::from_tensor(&query?)?, Var::from_tensor(&key?)?, Var::from_tensor(&value?)?];
    let expected = naive(variables.each_ref().map(|variable| variable.as_tensor()), &sequences)?;
    let expected_gradients = (&expected * &weights)?.sum_all()?.backward()?;
    limited("attention", &format!("output, {name}"), relative(&found, &expected, 0.0)?, "relative", limit);
    let named = ["queries", "keys", "values"].iter().zip(tensors.iter().zip(&variables));
    for (whose, (tensor, variable)) in named {
        let pair = (gradients.get(tensor), expected_gradients.get(variable.as_tensor()));
        let (Some(found), Some(expected)) = pair else {
            return Err(format!("{whose} received no gradient").into());
        };
        let difference = relative(found, expected, 0.0)?;
        limited("attention", &format!("gradient of {whose}, {name}"), difference, "relative", limit);
    }
    Ok(())
}

/// All scores of a sequence at a time.
fn naive(inputs: [&Tensor; 3], sequences: &[Range<usize>]) -> Result<Tensor> {
    let mut outputs = Vec::new();
    for sequence in sequences {
        let tokens = sequence.len();
        let heads = |tensor: &Tensor, heads: usize| {
            let rows = tensor.narrow(0, sequence.start, tokens)?.reshape((tokens, heads, HEADS.dim))?;
            rows.transpose(0, 1)?.contiguous()
        };
        let owner: Vec<u32> = (0..HEADS.query).map(|head| (head / HEADS.group()) as u32).collect();
        let owner = Tensor::new(owner, inputs[0].device())?;
        let key = heads(inputs[1], HEADS.key_value)?.index_select(&owner, 0)?;
        let value = heads(inputs[2], HEADS.key_value)?.index_select(&owner, 0)?;
        let scores = heads(inputs[0], HEADS.query)?.matmul(&key.t()?.contiguous()?)?;
        let mask = (0..tokens * tokens).map(|i| if i % tokens <= i / tokens { 0f32 } else { f32::NEG_INFINITY });
        let mask = Tensor::from_iter(mask, inputs[0].device())?.reshape((1, tokens, tokens))?;
        let scores = (scores / (HEADS.dim as f64).sqrt())?.broadcast_add(&mask)?;
        let weights = scores.broadcast_sub(&scores.detach().max_keepdim(D::Minus1)?)?.exp()?;
        let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        let attended = weights.matmul(&value)?.transpose(0, 1)?.contiguous()?;
        outputs.push(attended.reshape((tokens, HEADS.query * HEADS.dim))?);
    }
    Ok(Tensor::cat(&outputs, 0)?)
}

fn time(device: &Device, options: &Options, tokens: usize) -> Result<()> {
    let inputs = inputs(tokens, DType::BF16, device)?;
    let [query, key, value] = inputs.each_ref().map(|input| input.as_tensor().clone());
    let whole = [0..tokens; 1];
    let detached = [query.detach(), key.detach(), value.detach()];
    let forward = seconds(device, 3, || {
        causal_attention(&detached[0], &detached[1], &detached[2], HEADS, &whole, None)?;
        Ok(())
    })?;
    let both = seconds(device, 3, || {
        let output = causal_attention(&query, &key, &value, HEADS, &whole, None)?;
        // In two steps: one block of threads sums all that is left.
        output.to_dtype(DType::F32)?.sum(1)?.sum_all()?.backward()?;
        Ok(())
    })?;
    let flops = attention_flops((HEADS.query * HEADS.dim) as f64, tokens as f64);
    let share = |times: f64, seconds: f64| 100.0 * times * flops / seconds / (options.peak_tflops * 1e12);
    number("attention", &format!("forward, {tokens} tokens, bf16"), forward * 1e3, "ms");
    number("attention", &format!("forward, {tokens} tokens, bf16"), share(1.0, forward), "% of peak");
    number("attention", &format!("forward and backward, {tokens} tokens, bf16"), both * 1e3, "ms");
    number("attention", &format!("forward and backward, {tokens} tokens, bf16"), share(3.5, both), "% of peak");
    Ok(())
}
